"""Post-processing: reducing language bias without training a model.

    balanced              every language gets an equal share of a multilingual ranking
    offset:FILE           each language's mean vector over parallel text is moved to the mean of all
    shift:FILE[@a]        passages alone are moved by a times their language's shift from English
    shift-both:FILE[@a]   the same for queries and passages: what ``shift`` is compared with
    center:FILE           each language's mean vector is subtracted
    lir:FILE[@r]          the first r directions of each language's vectors are projected out

Each is a file here. What moves vectors says so as one :class:`~.move.Move` per role and language,
fitted on the parallel texts of FILE and never on the task's questions; a move is a function of
single vectors, so that a search in memory and one streamed from shards give the same ranks.

Post-processing is part of a record's model: its name, facts and fingerprint say so, and a board
compares the row with the plain model.
"""
