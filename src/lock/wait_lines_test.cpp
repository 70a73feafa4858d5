#include "lock/line_book.h"
