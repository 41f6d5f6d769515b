"""A verb with many options shows them in groups, in the order of its definition."""

from typing import Any

from typer.core import TyperCommand


class Grouped(TyperCommand):
    """A command whose help puts options under the titles that they are declared with (`rich_help_panel`)."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """See the class; arguments, and options without a title, come under what Click calls them."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
                groups.setdefault(getattr(parameter, "rich_help_panel", None) or kind, []).append(record)
        for title, records in groups.items():
            with formatter.section(title):
                formatter.write_dl(records)
