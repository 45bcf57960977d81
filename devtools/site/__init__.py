"""The documentation site: the Markdown pages of this repository, by Sphinx."""
