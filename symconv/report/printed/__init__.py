"""The printed proof report: theorems and verdicts as Markdown, HTML and PDF.

    mathematics   formulas as trees; from the corpus's terms
    prose         the corpus's texts, with the formulas in them
    document      what a printed report is made of
    record        results: saved ones, read and held against the corpus; fresh ones
    opening, theorems, verdicts, appendix    the parts of the report
    figures       drawn with matplotlib, and the same in characters
    as_markdown, as_html, as_pdf             the writers; typst is used by the last one only
    as_text       formulas as characters

Of all this the other commands import only what needs no more than the standard library: mathematics, prose, as_text.
"""
