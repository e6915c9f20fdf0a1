"""What tests find around them and did not expect."""

from __future__ import annotations

from typing import Final

from podgym.envs.build.repair.patterns.pattern import Pattern, each, pattern

__all__ = ["TESTS"]

_REFUSED: Final = "refused|ECONNREFUSED|could not connect|failed to connect|can't connect|cannot connect"

_PORTS: Final = {
    "postgresql": "5432", "redis": "6379", "mysql": "3306", "memcached": "11211", "rabbitmq": "5672", "mongodb": "27017",
}  # fmt: skip
_CLIENTS: Final = {
    "postgresql": r"PG::ConnectionBad|psycopg2?\.OperationalError|connection to server .* failed: ",
    "redis": r"redis\.exceptions\.ConnectionError|Could not connect to Redis",
    "mysql": r"Can't connect to (?:local )?MySQL server|Communications link failure",
    "rabbitmq": r"AMQPConnectionError|pika\.exceptions",
    "mongodb": r"MongoNetworkError|ServerSelectionTimeoutError|MongoServerSelectionError",
}
"""What their clients say."""

TESTS: Final[tuple[Pattern, ...]] = (
    pattern(
        "refuses_root",
        r"(?i)(?:can ?not|must not|should not|refus\w+|do not|don't|never|unable to)\b.{0,40}\b(?:run|be run|execute"
        r"|start)\w*\b.{0,60}\bas (?:the )?(?:root|super-?user)\b",
        weight=90,
    ),
    pattern("refuses_root", r"(?i)(?:initdb|postgres|elasticsearch|server).*(?:cannot|can not|must not) be run as root", weight=93),
    pattern(
        "refuses_root", r"(?i)tests? (?:should|must) (?:not be run|be run) as (?:root|an? (?:un|non-?)(?:privileged|root) user)", weight=90
    ),
    pattern("refuses_root", r"(?i)running as root is (?:not|un)|please run (?:this )?as a non-?root user|EUID.*root.*abort", weight=88),
    pattern(
        "locale",
        r"(?:cannot change locale|Cannot set LC_\w+ to default locale|setlocale: LC_\w+: cannot change locale) ?\(?([\w.@-]*)",
        weight=66,
    ),
    pattern(
        "locale",
        r"locale\.Error: unsupported locale setting|unknown locale: ([\w.-]+)|locale::facet::_S_create_c_locale name not valid",
        weight=90,
    ),
    pattern("locale", r"[Ll]ocale ['\"]?([a-z]{2}_[A-Z]{2}(?:\.[\w-]+)?)['\"]? (?:not|is not|could not|unavailable|required)", weight=84),
    pattern(
        "ipv6",
        r"EADDRNOTAVAIL.*::1?|EAFNOSUPPORT.*::|Address family not supported by protocol"
        r"|bind.*\[?::1?\]?.*[Cc]annot assign requested address",
        weight=86,
    ),
    pattern(
        "ipv6", r"(?i)protocol family unavailable|ipv6 (?:is )?(?:not (?:available|supported|enabled)|disabled|unavailable)", weight=84
    ),
    pattern(
        "display",
        r"no display name and no \$DISPLAY|couldn't connect to display|cannot connect to X server|[Cc]annot open display",
        weight=92,
    ),
    pattern(
        "display",
        r"qt\.qpa\.(?:xcb|plugin): [Cc]ould not|could not load the Qt platform plugin|pygame\.error: No available video device",
        "qt",
        weight=92,
    ),
    pattern(
        "timezone", r"ZoneInfoNotFoundError|No time zone found with key|tzlocal.*(?:not find|no timezone)|UnknownTimeZoneError", weight=90
    ),
    pattern(
        "shm",
        r"OSError: \[Errno 38\] Function not implemented|(?i:/dev/shm).*(?:No such file|too small|Permission denied|insufficient|No space)",
        weight=86,
    ),
    pattern("shm", r"This platform lacks a functioning sem_open|Bus error.*shared memory|insufficient shared memory", weight=88),
    pattern(
        "display",
        r"Missing X server or \$DISPLAY|GLFW.*X11: Failed to open display|SDL_Init.*video.*failed|Gtk.*cannot open display",
        weight=92,
    ),
    pattern("display", r"Error: Can't open display|xcb_connection_has_error|(?:Electron|electron).*display", weight=86),
    pattern(
        "dbus",
        r"(?i)(?:failed to connect to|cannot autolaunch|could not connect to|no such file.*)\b.*d-?bus"
        r"|dbus-launch.*not found|org\.freedesktop\.DBus\.Error\.(?:NoServer|FileNotFound)",
        weight=88,
    ),
    *each("database", rf"(?i)^(?=.*(?:{_REFUSED}))(?=.*(?:[: ]|port[\"'=: ]+)<>\b)", "<>", _PORTS, weight=90),
    *each("database", "<>", "<>", _CLIENTS, weight=84),
    pattern(
        "shm",
        r"(?i)shm_open.*(?:failed|denied|No such)|could not (?:open|resize) shared memory segment|session deleted because of page crash",
        weight=86,
    ),
    pattern(
        "timezone",
        r"(?i)(?:unknown|invalid) time ?zone:? ?['\"]?([A-Z]\w+/\w+)?|cannot find time zone|java\.time\.zone\.ZoneRulesException",
        weight=82,
    ),
    pattern("colour", r"expected .*\\u001b\[|\\x1b\[3\dm.*(?:!=|==|to (?:equal|match))", weight=40),
)
