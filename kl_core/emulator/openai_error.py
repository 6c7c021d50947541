"""Refusals in the shape of OpenAI's API, as vLLM, SGLang and OpenRouter write them."""

from __future__ import annotations

from typing import Any

from kl_core.emulator.api_error import ApiError

TYPE_OF = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    429: "RateLimitError",
    500: "InternalServerError",
    503: "ServiceUnavailableError",
    504: "TimeoutError",
}


class OpenAiError(ApiError):
    """An answer that is no reply.

    Attributes:
        param: the field of the body that is at fault; None for none.
        metadata: what OpenRouter adds; {} for nothing.
    """

    def __init__(
        self,
        code: int,
        message: str,
        kind: str = "",
        param: str | None = None,
        metadata: dict[str, Any] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(code, message, kind, retry_after_s=retry_after_s)
        self.param = param
        self.metadata = metadata or {}

    @classmethod
    def of(cls, error: ApiError) -> OpenAiError:
        """Another service's refusal in this shape."""
        if isinstance(error, OpenAiError):
            return error
        return cls(error.code, error.message, error.kind, retry_after_s=error.retry_after_s)

    def body(self) -> dict[str, Any]:
        """`{"error": {message, type, param, code}}`, with `metadata` where there is some."""
        error: dict[str, Any] = {
            "message": self.message,
            "type": TYPE_OF.get(self.code, "APIError"),
            "param": self.param,
            "code": self.code,
        }
        if self.metadata:
            error["metadata"] = self.metadata
        return {"error": error}


def bad(message: str, param: str | None = None) -> OpenAiError:
    """400."""
    return OpenAiError(400, message, param=param)


def too_long(most: int, prompt: int, wanted: int) -> OpenAiError:
    """400 as vLLM says that a text does not fit.

    Args:
        most: tokens of the context.
        prompt: tokens of the prompt.
        wanted: most tokens of the answer.
    """
    return bad(
        f"This model's maximum context length is {most} tokens. However, you requested {wanted} "
        f"output tokens and your prompt contains {prompt} input tokens, for a total of "
        f"{prompt + wanted} tokens. Please reduce the length of the input prompt or the number "
        "of requested output tokens.",
        "input_tokens",
    )
