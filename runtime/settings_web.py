"""Settings of the pages and the API, and of signing in elsewhere."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from runtime.settings_common import Part, http_url


class OidcSettings(Part):
    """People who sign in elsewhere (docs/access.md)."""

    issuer: Annotated[str, AfterValidator(http_url)] = Field(
        "", description="URL of an OpenID Connect provider. Empty: people sign in with passwords of Callwise only."
    )
    client_id: str = Field("", description="Id of Callwise at the provider.")
    client_secret: SecretStr = Field(
        SecretStr(""), description="Secret of Callwise at the provider; empty: PKCE alone."
    )
    label: str = Field("Single sign-on", description="What the button on the sign-in page says.")
    scopes: tuple[str, ...] = Field(("profile", "email"), description="What is asked for besides `openid`.")
    name_claim: str = Field("preferred_username", description="Claim that becomes the account's name.")
    role_claim: str = Field("groups", description="Claim with one value or a list, from which the role follows.")
    roles: dict[str, Literal["agent", "lead", "analyst", "reviewer", "admin"]] = Field(
        {}, description="Role by a value of that claim; the first that somebody has counts. Nobody else gets in."
    )
    team_claim: str = Field("groups", description="Claim from which a lead's teams follow.")
    teams: dict[str, str] = Field(
        {}, description="Team by a value of that claim. Empty: the values are the names of teams."
    )
    agent_claim: str = Field(
        "email", description="Claim by which an agent is known to telephony: an e-mail address or a name."
    )

    @property
    def is_configured(self) -> bool:
        """Whether people may sign in elsewhere."""
        return bool(self.issuer and self.client_id)


class WebSettings(Part):
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8321, ge=0, le=65535, description="Port to listen on; 0: any free one.")
    processes: int = Field(
        1,
        ge=1,
        le=64,
        description="So many processes serve the pages and the API of `callwise web`: one a core, or two.",
    )
    allowed_hosts: tuple[str, ...] = Field(
        ("127.0.0.1", "localhost", "[::1]"), description="Host names under which the pages are served."
    )
    public_url: Annotated[str, AfterValidator(http_url)] = Field(
        "",
        description="Address under which the world reaches the pages (https://calls.example.org): what Twilio signs."
        " Its host is served, too.",
    )
    secret: SecretStr = Field(SecretStr(""), description="Signs sessions. Empty: one is made and kept in the home.")
    secure_cookies: bool = Field(False, description="Set when the pages are served over HTTPS.")
    max_upload_mb: int = Field(500, ge=1, description="So many megabytes of files are taken at once by the upload.")
    passwords: bool = Field(True, description="Whether people may sign in with passwords of Callwise, too.")
    oidc: OidcSettings = Field(
        OidcSettings(), description="Where people sign in elsewhere: an OpenID Connect provider (docs/access.md)."
    )
    api_requests_per_minute: int = Field(
        6000, ge=0, description="How many requests one caller may send to the API; 0: as many as one likes."
    )
