# Flags that every target of ours gets, and the two helpers with which each folder declares itself.

# Where sources are compiled as one. The warning means types in headers, and takes a source that is included by another
# one for a header (g++ alone has it).
set(compiled_as_one $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)

add_library(sharedlock_flags INTERFACE)
target_compile_options(sharedlock_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
  -Wimplicit-fallthrough -Wextra-semi -Wswitch-enum -Werror -fno-omit-frame-pointer
  # False alarms of g++ 12 about the frames of coroutines, which classes allocate.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-mismatched-new-delete>
  $<$<BOOL:${CMAKE_UNITY_BUILD}>:${compiled_as_one}>
  # What g++ 12's library uses itself, in its sorting, and marks as deprecated.
  $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>)
target_compile_definitions(sharedlock_flags INTERFACE
  # Structures check themselves as they change: see src/base/check.h.
  $<$<CONFIG:Debug>:SHAREDLOCK_CHECK_INVARIANTS>
  BOOST_ASIO_RECYCLING_ALLOCATOR_CACHE_SIZE=8 BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_DISABLE_BOOST_COROUTINE)
target_include_directories(sharedlock_flags INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(sharedlock_flags INTERFACE Boost::headers Threads::Threads)

# Where several sources are compiled as one (tests, and all in the presets of the sanitizers: most of the time goes into
# headers, which are then read once), these are still compiled alone: a name of theirs that only they know means
# something else next door.
function(sharedlock_compile_apart)
  set_source_files_properties(${ARGN} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  foreach(source IN LISTS ARGN)
    file(APPEND ${PROJECT_BINARY_DIR}/compiled_apart.txt ${CMAKE_CURRENT_SOURCE_DIR}/${source}\n)  # for script/check_tidy.py
  endforeach()
endfunction()
file(WRITE ${PROJECT_BINARY_DIR}/compiled_apart.txt "")
file(WRITE ${PROJECT_BINARY_DIR}/tests.txt "")

# sharedlock_layer(NAME SOURCES … LIBRARIES … [APART …]): the static library of one folder below src/; APART are those of
# its sources that are compiled alone in every preset.
function(sharedlock_layer name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBRARIES;PRIVATE_LIBRARIES;APART" ${ARGN})
  add_library(sharedlock_${name} STATIC ${arg_SOURCES})
  sharedlock_compile_apart(${arg_APART})
  target_link_libraries(sharedlock_${name} PUBLIC sharedlock_flags ${arg_LIBRARIES} PRIVATE ${arg_PRIVATE_LIBRARIES})
endfunction()

# sharedlock_test(NAME SOURCES … LIBRARIES … [APART …] [BUSY …]): one GoogleTest binary; every case is its own CTest test.
# Their sources are compiled as one, eight by eight, in every preset: most of a test's time goes into headers. And most
# tests wait for servers: without optimization they are compiled in less time and take no longer. BUSY are the sources
# that try every order of many events: they are optimized, so they are compiled apart; and they are linked first, since
# the linker takes the first of several copies of a function.
function(sharedlock_test name)
  if(NOT SHAREDLOCK_TESTS)
    return()
  endif()
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;LIBRARIES;LABELS;APART;BUSY" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  add_executable(${name} ${arg_BUSY} ${arg_SOURCES})
  sharedlock_compile_apart(${arg_APART} ${arg_BUSY})
  foreach(source IN LISTS arg_BUSY arg_SOURCES)
    file(APPEND ${PROJECT_BINARY_DIR}/tests.txt "${name} ${CMAKE_CURRENT_SOURCE_DIR}/${source}\n")  # for script/named_tests.py
  endforeach()
  target_link_libraries(${name} PRIVATE sharedlock_flags ${arg_LIBRARIES} GTest::gmock GTest::gtest_main)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  set_target_properties(${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
  target_compile_options(${name} PRIVATE ${compiled_as_one} -O0)
  if(arg_BUSY)
    set_source_files_properties(${arg_BUSY} PROPERTIES COMPILE_OPTIONS $<IF:$<CONFIG:Debug>,-O1,-O2>)
  endif()
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABELS}")
  # Everything with one label can be built by itself: cmake --build … --target label_tsan
  foreach(label IN LISTS arg_LABELS)
    if(NOT TARGET label_${label})
      add_custom_target(label_${label})
    endif()
    add_dependencies(label_${label} ${name})
  endforeach()
endfunction()
