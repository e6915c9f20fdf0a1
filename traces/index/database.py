"""Opening the index: SQLite in write-ahead mode by default, any SQLAlchemy URL by choice, migrated to this version's tables.

Whether tables are current is one SELECT; Alembic is only imported to change them, under a lock that all processes share (the
folder's for SQLite, an advisory one for PostgreSQL).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from podgym.traces.errors import IndexUnusable, RecordNotFound
from podgym.traces.locking import folder_lock

__all__ = ["HEAD", "open_engine", "remedy_for"]

HEAD = "0002"
"""The newest revision in `migrations/versions`."""
MIGRATION_LOCK = 0x706F6467
BUSY_MS = 15_000


def open_engine(url: str, *, create: bool) -> Engine:
    """An engine whose tables are this version's.

    Raises `RecordNotFound` where `create` is false and there is nothing yet, `IndexUnusable` for all else.
    """
    try:
        parsed = make_url(url)
        path = _sqlite_path(parsed)
        if path is not None and not path.exists():
            if not create:
                raise RecordNotFound(
                    f"There is no index {path} yet.", remedy="It is made when the run starts, and can be rebuilt from traces."
                )
            path.parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(parsed, json_serializer=_dumps, json_deserializer=orjson.loads)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError, OSError) as error:
        raise IndexUnusable(
            f"The index {_shown(url)} cannot be opened: {error}.", remedy="Use sqlite:///PATH or postgresql+psycopg://HOST/DATABASE."
        ) from error
    if path is not None:
        event.listen(engine, "connect", _prepare_sqlite)
    try:
        if path is not None:
            _write_ahead(engine, path)
        revision = _revision(engine)
        if revision != HEAD:
            from podgym.traces.index.migrating import migrate

            with engine.connect() as connection, _locked(connection, path):
                migrate(connection)
    except OSError as error:
        engine.dispose()
        raise IndexUnusable(
            f"The index {_shown(url)} cannot be used: {error}.", remedy="Check that its folder can be read, and the limit of open files."
        ) from error
    except SQLAlchemyError as error:
        engine.dispose()
        cause = getattr(error, "orig", None) or error
        raise IndexUnusable(f"The index {_shown(url)} cannot be used: {cause}.", remedy=remedy_for(cause)) from error
    except BaseException:
        engine.dispose()
        raise
    return engine


def remedy_for(cause: object) -> str:
    """What to do about what the database said. Nothing is to be deleted that another moment or another disk would heal."""
    said = str(cause).lower()
    if "not a database" in said or "malformed" in said:
        return "Delete it; `podgym rollout list` rebuilds it from the run's folder."
    if "locked" in said or "busy" in said:
        return "Another process is writing it; try again."
    if "full" in said or "disk i/o" in said:
        return "Free space on its disk and try again."
    if "unable to open" in said or "readonly" in said or "permission" in said:
        return "Check that its folder can be written."
    if "no such table" in said or "no such column" in said:
        return "It lacks what an index has; delete it, and `podgym rollout list` rebuilds it from the run's folder."
    return "Check the database's address, and that it runs."


def _dumps(value: Any) -> str:
    return orjson.dumps(value).decode()


def _shown(url: str) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return repr(url[:80])


def _sqlite_path(url: URL) -> Path | None:
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return None
    return Path(url.database)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_MS}")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _write_ahead(engine: Engine, path: Path) -> None:
    with engine.connect() as connection:
        if connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal":
            return
        # A reader's lock becomes a writer's then, for which SQLite does not wait: of several at once all but one would fail.
        with folder_lock(path.parent, timeout_s=BUSY_MS / 1000):
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")


def _revision(engine: Engine) -> str | None:
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


@contextmanager
def _locked(connection: Connection, path: Path | None) -> Iterator[None]:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
        connection.commit()
        try:
            yield
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
            connection.commit()
    elif path is not None:
        with folder_lock(path.parent, timeout_s=BUSY_MS / 1000):
            yield
    else:
        yield
