"""Studies: a research question as one file, its cells trained and scored by one command.

A cell is one training: an arm (a recipe and its data), one value of each axis, one seed. The file
(:mod:`harness.study.file`) says which there are, :mod:`harness.study.run` trains and scores those
that are not there yet, :mod:`harness.study.results` reads what stands in the folder of a study.
"""
