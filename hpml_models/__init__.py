"""What is trained and run: models, data, strategies, precisions, runtimes, quantizations.

The way through it: the families of :mod:`hpml_models.cases` list cases,
:func:`hpml_models.prepare.step.prepare_step` turns one into a step that can be timed. Nothing
here knows of pytest.
"""
