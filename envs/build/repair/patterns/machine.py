"""What the machine, its distribution and its network refuse."""

from __future__ import annotations

from typing import Final

from podgym.envs.build.repair.patterns.pattern import Pattern, pattern

__all__ = ["MACHINE"]

MACHINE: Final[tuple[Pattern, ...]] = (
    pattern("disk_full", r"No space left on device|ENOSPC: no space left|Disk quota exceeded", weight=95),
    pattern("file_watchers", r"ENOSPC: System limit for number of file watchers reached|inotify_add_watch.*No space left", weight=97),
    pattern("open_files", r"EMFILE: too many open files|Too many open files|\bos error 24\b", weight=70),
    pattern("heap_limit", r"JavaScript heap out of memory|Reached heap limit Allocation failed", "node", weight=95),
    pattern(
        "heap_limit",
        r"java\.lang\.OutOfMemoryError|GC overhead limit exceeded|Expiring Daemon because JVM heap space is exhausted",
        "java",
        weight=93,
    ),
    pattern(
        "heap_limit",
        r"Gradle build daemon disappeared unexpectedly|The forked VM terminated without properly saying goodbye",
        "java",
        weight=55,
    ),
    pattern(
        "out_of_memory", r"virtual memory exhausted|fatal error: Killed signal terminated program (\w+)|Cannot allocate memory", weight=92
    ),
    pattern(
        "out_of_memory", r"\(signal: 9, SIGKILL: kill\)|^(?:/bin/)?sh: .*Killed\b|\bOOMKilled\b|signal: killed$|MemoryError$", weight=85
    ),
    pattern("certificate", r"certificate verify failed|unable to get local issuer certificate|SSL certificate problem", weight=88),
    pattern(
        "certificate",
        r"SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_GET_ISSUER_CERT_LOCALLY|x509: certificate signed by unknown authority",
        weight=88,
    ),
    pattern(
        "certificate",
        r"PKIX path building failed|server certificate verification failed|invalid peer certificate: UnknownIssuer",
        weight=88,
    ),
    pattern(
        "git_protocol",
        r"unauthenticated git protocol on port 9418|fatal: unable to connect to (github\.com)|git://(\S+?)[:/].*(?:timed out|refused)",
        weight=90,
    ),
    pattern(
        "git_protocol",
        r"git@([\w.-]+): Permission denied \(publickey\)|Host key verification failed|ssh: Could not resolve hostname ([\w.-]+)",
        weight=86,
    ),
    pattern("git_protocol", r"error: cannot run ssh: No such file", weight=86),
    pattern("git_ownership", r"detected dubious ownership in repository at '?([^'\s]*)", weight=92),
    pattern("flaky_download", r"ECONNRESET|ETIMEDOUT|ESOCKETTIMEDOUT|socket hang up|Connection reset by peer|EAI_AGAIN", weight=60),
    pattern(
        "flaky_download",
        r"Temporary failure in name resolution|(?:Read|Connect(?:ion)?) timed out|TLS handshake timeout|i/o timeout",
        weight=58,
    ),
    pattern(
        "flaky_download",
        r"\b(?:502 Bad Gateway|503 Service Unavailable|504 Gateway|429 Too Many Requests)\b|[Hh]ash [Ss]um mismatch",
        weight=60,
    ),
    pattern(
        "flaky_download",
        r"IncompleteRead|unexpected EOF|early EOF|RPC failed; curl|Premature end of|transfer closed with|EINTEGRITY",
        weight=57,
    ),
    pattern("flaky_download", r"(?:error|status code)[: ]+(?:502|503|504|429)\b|spurious network error|RemoteDisconnected", weight=57),
    pattern(
        "network",
        r"(?:Could not resolve host(?:name)?|getaddrinfo ENOTFOUND|Name or service not known|no such host)[: ]*([\w.-]*)",
        weight=56,
    ),
    pattern(
        "network", r"Network is unreachable|(?:Connection|ECONN)\s?[Rr](?:efused|EFUSED)|Failed to connect to ([\w.-]+) port \d+", weight=35
    ),
    pattern("network", r"Cannot access [\w-]+ \((https?://\S+?)\) in offline mode|has not been downloaded from it before", weight=60),
    pattern("permission", r"EACCES: permission denied|(?i:permission denied)[:,]? '?([/\w.-]*)|: (\S+): Permission denied", weight=45),
    pattern("permission", r"Operation not permitted", weight=25),
    pattern("unknown_package", r"E: Unable to locate package (\S+)|E: Package '([^']+)' has no installation candidate", weight=96),
    pattern("unknown_package", r"E: Couldn't find any package by (?:glob|regex) '([^']+)'", weight=95),
    pattern(
        "package_conflict", r"^\s*(\S+) : (?:Depends|Conflicts|Breaks): .*(?:is not going to be installed|is to be installed)", weight=94
    ),
    pattern("package_conflict", r"E: Unable to correct problems, you have held broken packages", weight=80),
    pattern(
        "image_missing",
        r"manifest (?:for \S+ )?(?:unknown|not found)|pull access denied for ([\w./-]+)|no such image|failed to resolve source metadata",
        weight=94,
    ),
    pattern(
        "image_missing",
        r"Image '[^']+' (?:is not here|wants .* this machine lacks)|cannot make a sandbox from base image|\(at FROM \S+\)",
        weight=94,
    ),
    pattern("image_missing", r"(?:The repository|Release file).* does not have a Release file|404 +Not Found \[IP", "packages", weight=70),
)
