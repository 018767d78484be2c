"""Which pictures to label next, and what people labelled joined with what was there.

`candidates` -> `opinions` and `survey` (what models say of each) -> `choose` (uncertain, disputed and different) ->
`deliver` (table, page, pre-annotations) -> a person -> `merge`. Imports torch only where a run folder is looked with.
"""
