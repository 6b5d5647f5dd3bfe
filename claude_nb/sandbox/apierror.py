"""A refusal in the API's own shape: status, ``error.type``, message, and a code where the cause has one."""

from typing import Any

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class ApiError(Exception):
    """An answer other than 200, raised inside the sandbox and sent as a response.

    Args:
        status: HTTP status; it decides ``error.type``.
        message: Text similar to the API's. Programs must not match on it: the wording is unstable by contract.
        code: ``error.details.error_code``, for the causes that have one.
        headers: Extra response headers, such as ``retry-after``.
    """

    def __init__(
        self, status: int, message: str, *, code: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.type = _TYPES.get(status, "api_error")
        self.message = message
        self.code = code
        self.headers = headers or {}

    def body(self, request_id: str) -> dict[str, Any]:
        """The JSON body of the response."""
        error: dict[str, Any] = {"type": self.type, "message": self.message}
        if self.code:
            error["details"] = {"error_code": self.code}
        return {"type": "error", "error": error, "request_id": request_id}


def invalid(message: str, code: str | None = None) -> ApiError:
    """A 400 ``invalid_request_error``, the answer to almost every broken rule."""
    return ApiError(400, message, code=code)
