"""The texts of third-party components, so that they are translated with our own: one entry a text, keyed as the component does."""

from __future__ import annotations

from nebuloviz.i18n.text import gettext as _


def plotly_texts() -> dict[str, str]:
    """Plotly's English texts -> the reader's language: what the buttons, notes and hovers of our charts say."""
    return {
        "Autoscale": _("Autoscale"),
        "Box Select": _("Box select"),
        "Lasso Select": _("Lasso select"),
        "Compare data on hover": _("Compare data on hover"),
        "Show closest data on hover": _("Show closest data on hover"),
        "Toggle show closest data on hover": _("Show closest data on hover or not"),
        "Toggle Spike Lines": _("Show guide lines or not"),
        "Double-click on legend to isolate one trace": _("Double-click on the legend to isolate one series"),
        "Double-click to zoom back out": _("Double-click to zoom back out"),
        "Download plot as a PNG": _("Download chart as PNG"),
        "Download plot": _("Download chart"),
        "Pan": _("Pan"),
        "Reset": _("Reset"),
        "Reset axes": _("Reset axes"),
        "Reset view": _("Reset view"),
        "Zoom": _("Zoom"),
        "Zoom in": _("Zoom in"),
        "Zoom out": _("Zoom out"),
        "max:": _("max:"),
        "mean:": _("mean:"),
        "median:": _("median:"),
        "min:": _("min:"),
        "q1:": _("q1:"),
        "q3:": _("q3:"),
        "lower fence:": _("lower fence:"),
        "upper fence:": _("upper fence:"),
        "trace": _("series"),
    }


def ag_grid_texts() -> dict[str, str]:
    """AG Grid's text keys -> the reader's language."""
    return {**_grid_body(), **_grid_filters(), **_grid_conditions(), **_grid_for_screen_readers()}


def _grid_body() -> dict[str, str]:
    return {
        "page": _("Page"),
        "more": _("more"),
        "to": _("to"),
        "of": _("of"),
        "firstPage": _("First page"),
        "previousPage": _("Previous page"),
        "nextPage": _("Next page"),
        "lastPage": _("Last page"),
        "pageSizeSelectorLabel": _("Rows per page:"),
        "pageLastRowUnknown": "?",
        "loadingOoo": _("Loading…"),
        "loadingError": _("This could not be loaded."),
        "noRowsToShow": _("Nothing to show"),
        "noMatchingRows": _("Nothing matches the filter"),
        "copy": _("Copy"),
        "export": _("Export"),
        "csvExport": _("Export as CSV"),
    }


def _grid_filters() -> dict[str, str]:
    return {
        "filterOoo": _("Filter…"),
        "searchOoo": _("Search…"),
        "applyFilter": _("Apply"),
        "cancelFilter": _("Cancel"),
        "clearFilter": _("Clear"),
        "resetFilter": _("Reset"),
        "textFilter": _("Text filter"),
        "numberFilter": _("Number filter"),
        "dateFilter": _("Date filter"),
        "andCondition": _("and"),
        "orCondition": _("or"),
        "dateFormatOoo": _("yyyy-mm-dd"),
        "inRangeStart": _("From"),
        "inRangeEnd": _("To"),
        "true": _("True"),
        "false": _("False"),
    }


def _grid_conditions() -> dict[str, str]:
    return {
        "empty": _("Choose one"),
        "blank": _("Blank"),
        "notBlank": _("Not blank"),
        "contains": _("Contains"),
        "notContains": _("Does not contain"),
        "startsWith": _("Begins with"),
        "endsWith": _("Ends with"),
        "equals": _("Equals"),
        "notEqual": _("Does not equal"),
        "lessThan": _("Less than"),
        "lessThanOrEqual": _("Less than or equal to"),
        "greaterThan": _("Greater than"),
        "greaterThanOrEqual": _("Greater than or equal to"),
        "inRange": _("Between"),
        "before": _("Before"),
        "after": _("After"),
    }


def _grid_for_screen_readers() -> dict[str, str]:
    return {
        "ariaChecked": _("checked"),
        "ariaUnchecked": _("unchecked"),
        "ariaIndeterminate": _("partly checked"),
        "ariaHidden": _("hidden"),
        "ariaVisible": _("visible"),
        "ariaColumnFiltered": _("Column filtered"),
        "ariaFilterInput": _("Filter"),
        "ariaFilterValue": _("Filter value"),
        "ariaFilterFromValue": _("Filter from this value"),
        "ariaFilterToValue": _("Filter to this value"),
        "ariaFilteringOperator": _("Filter condition"),
        "ariaFilterMenuOpen": _("Open the filter menu"),
        "ariaFilterColumn": _("Press Ctrl Enter to open the filter"),
        "ariaDateFilterInput": _("Date filter"),
        "ariaInputEditor": _("Editor"),
        "ariaSortableColumn": _("Press Enter to sort"),
        "ariaMenuColumn": _("Press Alt Down to open the column menu"),
        "ariaPageSizeSelectorLabel": _("Rows per page"),
        "ariaRowSelect": _("Press Space to select this row"),
        "ariaRowDeselect": _("Press Space to deselect this row"),
        "ariaRowToggleSelection": _("Press Space to select or deselect this row"),
        "ariaRowSelectAll": _("Press Space to select or deselect all rows"),
        "ariaSearch": _("Search"),
        "ariaLabelColumnMenu": _("Column menu"),
        "ariaLabelColumnFilter": _("Column filter"),
        "ariaLabelDialog": _("Dialog"),
        "ariaLabelSelectField": _("Choose a field"),
        "ariaLabelTooltip": _("Note"),
    }
