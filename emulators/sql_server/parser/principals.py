"""CREATE and ALTER of logins, users and roles; GRANT, DENY, REVOKE; ALTER AUTHORIZATION."""

from __future__ import annotations

from typing import Any

from emulators.sql_server.parser.statements import StatementParser
from emulators.sql_server.parser.tree import AlterAuthorization, Name, PermissionStatement, PrincipalStatement, Statement
from emulators.sql_server.values.errors import sql_error


class PrincipalParser(StatementParser):
    """Who may do what."""

    def _create_principal(self) -> Statement:
        kind = self.next().upper
        name = self.any_word()
        options: dict[str, Any] = {}
        if kind == "LOGIN":
            if self.accept("FROM"):
                options["source"] = self.any_word().upper()
                if options["source"] == "EXTERNAL":
                    self.expect("PROVIDER")
            else:
                self.expect("WITH")
                self._principal_options(options)
        elif kind == "USER":
            if self.accept("FOR") or self.accept("FROM"):
                if self.accept("EXTERNAL"):
                    self.expect("PROVIDER")
                    options["source"] = "EXTERNAL"
                else:
                    self.expect("LOGIN")
                    options["login"] = self.any_word()
            elif self.accept("WITHOUT"):
                self.expect("LOGIN")
                options["without_login"] = True
            if self.accept("WITH"):
                self._principal_options(options)
            if "without_login" in options and not options.keys() <= {"without_login", "default_schema", "default_language"}:
                raise self.not_supported("CREATE USER … WITHOUT LOGIN with other options than defaults")
        elif self.accept("AUTHORIZATION"):
            options["owner"] = self.any_word()
        return PrincipalStatement("CREATE", kind, name, options)

    def _principal_options(self, options: dict[str, Any]) -> None:
        while True:
            word = self.any_word().upper()
            self.expect("=")
            if word not in (
                "PASSWORD",
                "DEFAULT_SCHEMA",
                "DEFAULT_DATABASE",
                "DEFAULT_LANGUAGE",
                "CHECK_POLICY",
                "CHECK_EXPIRATION",
                "SID",
                "NAME",
                "TYPE",
                "LOGIN",
            ):
                raise self.not_supported(f"option {word}")
            options[word.lower()] = self.next().value
            if not self.accept(","):
                return

    def _alter_principal(self) -> Statement:
        kind = self.next().upper
        name = self.any_word()
        options: dict[str, Any] = {}
        if kind == "ROLE" and self.at_any("ADD", "DROP"):
            action = self.next().upper
            self.expect("MEMBER")
            options[f"{action.lower()}_member"] = self.any_word()
        elif kind == "LOGIN" and self.at_any("ENABLE", "DISABLE"):
            options["enabled"] = self.next().upper == "ENABLE"
        else:
            self.expect("WITH")
            self._principal_options(options)
        return PrincipalStatement("ALTER", kind, name, options)

    def _permission(self) -> Statement:
        action = self.next().upper
        if action == "REVOKE" and self.at("GRANT", "OPTION"):
            raise self.not_supported("REVOKE GRANT OPTION FOR")
        permissions: list[tuple[str, list[str]]] = []
        while True:
            words = [self.any_word().upper()]
            while self.token.kind == "word" and not self.at_any("ON", "TO", "FROM"):
                words.append(self.any_word().upper())
            columns = self.identifier_list() if self.at("(") else []
            permissions.append((" ".join(words), columns))
            if not self.accept(","):
                break
        target_class = "DATABASE"
        target: Name = ()
        if self.accept("ON"):
            target_class = "OBJECT"
            if self.ahead().text == "::":
                target_class = self.any_word().upper()
                self.expect("::")
            target = self.name()
        if not (self.accept("TO") or (action == "REVOKE" and self.accept("FROM"))):
            raise self.syntax_error()
        principals = [self.any_word()]
        while self.accept(","):
            principals.append(self.any_word())
        with_grant = self.accept("WITH", "GRANT", "OPTION")
        self.accept("CASCADE")
        if self.at("AS"):
            raise self.not_supported(f"{action} … AS")
        return PermissionStatement(action, permissions, target_class, target, principals, with_grant)

    def _change_owner(self) -> Statement:
        self.expect("ON")
        kind = self.any_word().upper() if self.ahead().text == "::" else "OBJECT"
        if kind != "SCHEMA":
            raise self.not_supported(f"ALTER AUTHORIZATION ON {kind}")
        self.expect("::")
        schema = self.any_word()
        self.expect("TO")
        if self.at("SCHEMA", "OWNER"):
            raise sql_error(15151, "user", "SCHEMA OWNER")
        return AlterAuthorization(schema, self.any_word())
