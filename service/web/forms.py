"""What all forms share: the error of an action lands beside its field, and nothing that was typed is lost."""

from typing import Any

from flask_wtf import FlaskForm
from wtforms import Form

from service.errors import DomainError


class HearthForm(FlaskForm):  # type: ignore[misc]
    """A form with a CSRF token; strips spaces around what was typed, except in passwords."""

    class Meta:
        """WTForms settings."""

        def bind_field(self, form: Form, unbound_field: Any, options: dict[str, Any]) -> Any:
            """Give text fields a filter that strips."""
            kind = unbound_field.field_class.__name__
            if kind in ("StringField", "EmailField", "TelField", "SearchField"):
                options["filters"] = [_strip, *unbound_field.kwargs.get("filters", ())]
            return unbound_field.bind(form=form, **options)


def put_error(form: Form, error: DomainError) -> None:
    """Show `error` beside the field that it names, or above the form when it names none of this form's."""
    if error.field and error.field in form:
        field = form[error.field]
        field.errors = [*field.errors, error.message]
    else:
        form.form_errors.append(error.message)


def _strip(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value
