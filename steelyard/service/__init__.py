"""What can be asked of steelyard: plan, run, go on, report, compare, search, pack. The command line and the Python API
both ask here; neither knows how a run is measured, stored or written."""
