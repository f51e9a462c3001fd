"""The `web:` section: where Orchard's own web server listens, and what it bears."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import Field, model_validator

from config.fields import Bool, HttpAddress, Int, Number, Text, is_own_machine
from config.section import Section


class WebSettings(Section):
    enabled: Bool = Field(True, description="Serve Orchard's pages and its API.")
    host: Text = Field(
        "127.0.0.1",
        max_length=253,
        description="The address to listen on; another than this machine's own needs a certificate.",
    )
    port: Int = Field(8765, ge=0, le=65535, description="0: any free one.")
    certificate_file: Text | None = Field(
        None,
        description="TLS: the certificate with its chain, PEM; relative to the folder of orch-config.yaml.",
    )
    certificate_key_file: Text | None = Field(None, description="TLS: its private key, PEM; likewise.")
    trusted_hosts: tuple[Text, ...] = Field(
        (), description="Names under which browsers may ask, beside this machine's own: orchard.example.org."
    )
    public_url: HttpAddress | None = Field(
        None,
        description="Where a reverse proxy on this machine serves Orchard: https://orchard.example.org. "
        "Nothing is open without a login then.",
    )
    max_body_kb: Int = Field(256, ge=1, le=65536, description="What a request may carry, in KB.")
    request_seconds: Number = Field(
        10, ge=0.1, le=600, description="A request's head has to be there within this time, so has its body."
    )
    calls_per_minute: Int = Field(
        600,
        ge=1,
        le=10**6,
        description="Of one address, of one user, of one token; the rest is told to wait.",
    )
    logins_per_minute: Int = Field(
        10, ge=1, le=10**6, description="Passwords, codes and wrong tokens of one address."
    )

    @property
    def encrypted(self) -> bool:
        return self.certificate_file is not None

    @model_validator(mode="after")
    def _is_encrypted(self) -> WebSettings:
        if (self.certificate_file is None) != (self.certificate_key_file is None):
            raise ValueError("certificate_file and certificate_key_file should both be set, or neither")
        if not self.encrypted and not is_own_machine(self.host):
            raise ValueError(
                f"host {self.host} is open to other machines, so certificate_file and certificate_key_file "
                "should be set: passwords would travel readable for everybody. Or keep 127.0.0.1, with a "
                "reverse proxy before it (public_url)"
            )
        return self

    @model_validator(mode="after")
    def _is_public(self) -> WebSettings:
        if self.public_url is None:
            return self
        parts = urlsplit(self.public_url)
        if parts.scheme != "https" and not is_own_machine(parts.hostname or ""):
            raise ValueError("public_url should begin with https://: browsers send passwords there")
        if parts.path.strip("/") or parts.query or parts.fragment or parts.username or parts.password:
            raise ValueError("public_url should be a name and perhaps a port, without a path")
        return self

    @model_validator(mode="after")
    def _has_names(self) -> WebSettings:
        for name in self.trusted_hosts:
            if "*" in name or "/" in name or (":" in name.strip("[]") and not name.startswith("[")):
                raise ValueError(f"trusted_hosts: {name[:60]} should be a whole name, without port or *")
        return self
