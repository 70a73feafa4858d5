"""Tables in Markdown, as they stand in docs/performance.md."""


def table(titles, rows):
    """`rows` of texts; the first column is words, the others are figures."""
    widths = [max(len(row[i]) for row in [titles, *rows]) for i in range(len(titles))]
    lines = [
        "| " + " | ".join([titles[0].ljust(widths[0])] + [t.rjust(w) for t, w in zip(titles[1:], widths[1:])]) + " |",
        "|" + "|".join(["-" * (widths[0] + 2)] + ["-" * (w + 1) + ":" for w in widths[1:]]) + "|",
    ]
    for row in rows:
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def verdict(good):
    return "ok" if good else "missed"
