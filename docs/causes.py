"""What usually lies behind an error code, beyond what the error itself says: for `errors.md`."""

CAUSES: dict[str, tuple[str, ...]] = {
    "WA101": ("An option of another method or of another version was given.",),
    "WA103": ('The unit is missing: `"30"` is not `"30s"`.', "A negative duration."),
    "WA106": (
        "The shell that starts the app has not got the variables of the other one.",
        "QSTASH_URL was left behind by a development server, in `.env` or in the shell.",
    ),
    "WA107": (
        "The module that has the workflow is not imported by the process that runs the engine.",
        "The path has another prefix or a slash at its end: it is compared as text.",
    ),
    "WA108": ("The package was installed in another environment than the one that runs.",),
    "WA109": ("The variable is set in a shell; the service that runs the engine has its own.",),
    "WA110": (
        "A notebook cell that defines a workflow was run again: use a new engine, or another path.",
        "A module was imported under two names.",
    ),
    "WA111": (
        "The engine was made, and neither `async with engine` nor `engine.open()` was called.",
        "The app's lifespan does not run, as in some test clients: call `await engine.start()`.",
        "A server forked after the start: start the engine in each process, after the fork.",
    ),
    "WA112": (
        "A method without await was called in an `async def`, which the engine's loop runs.",
    ),
    "WA122": ("The variables of `dev` are still set in the shell that starts `server`.",),
    "WA123": ("An earlier `dev` still runs in another terminal.",),
    "WA201": (
        "A step was added, removed, renamed or moved, and a run of the old code woke up.",
        "Which steps come next depends on the clock, on randomness, on a setting or on the order of"
        " a set: [Replay](concepts/replay.md).",
        "Two versions of the app use one store, one after the other.",
    ),
    "WA203": (
        "A tool or a helper that uses the context was called in the body of a step.",
        "An agent was run inside of `context.run`: its turns are steps themselves.",
    ),
    "WA204": ("A client, a connection, a database row or a generator was returned.",),
    "WA205": ("The client sends a form, or JSON as text within JSON.", "A field is new."),
    "WA206": ("The service that the step uses is down, or refuses its credentials.",),
    "WA208": (
        "The context was kept in a global or in `self` and used by another request.",
        "A task was started and not awaited, and outlived its function.",
    ),
    "WA209": (
        "The function returned early, as one does to refuse a request: then all is well.",
        "The function has no step on the way that this payload takes.",
    ),
    "WA211": ("The step needs more memory than the process has.", "A library crashes in C code."),
    "WA301": ("A proxy or a firewall is in between.", "The timeout is shorter than the work."),
    "WA303": (
        "The server does not run, or the address has another port.",
        "The token is that of another server, or has been replaced.",
    ),
    "WA304": (
        "The app is on this machine or in a private network, and the server is not told so.",
    ),
    "WA401": ("The store was copied to another machine without its `.key` file.",),
    "WA402": (
        "The signing keys of the app are not those of the server that sends.",
        "A proxy changes the body, or the address differs from the one that was signed.",
        "The request was made by hand.",
    ),
    "WA501": ("A file or an image is sent as part of the JSON.",),
    "WA502": ("A tool or a service answers with a whole document or a table.",),
    "WA503": ("A loop without an end.", "A run that polls: let it wait for an event instead."),
    "WA601": (
        "The app runs with more than one worker, or with a reloader.",
        "An earlier process is still stopping.",
        "A script or a notebook opens the store that a server owns: ask the server instead.",
    ),
    "WA603": ("The volume of a container belongs to another user.",),
    "WA604": ("An older version was deployed again after a newer one had run.",),
    "WA606": ("The client asks another engine or server than the one that has the run.",),
    "WA608": ("Two people, or a person and a timeout, decided at the same moment.",),
    "WA701": ("An argument without a type, or a function without a docstring.",),
    "WA703": (
        "The model's name is misspelt, or the key may not use it.",
        "The address ends in a page of a gateway, not in an API.",
    ),
    "WA704": ("A tool's answer tells the model nothing new, so that it asks again.",),
    "WA705": ("The tool's description does not say what its arguments look like.",),
    "WA711": ("The type is deep or has many alternatives, and the model is small.",),
    "WA702": ("Money is limited, and the price of the model is not known: give `prices=`.",),
    "WA713": ("The agent goes round in circles; look at the steps of the run.",),
}
