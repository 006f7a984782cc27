#!/usr/bin/env python3
"""Takes the logos of the catalogue's services out of the npm package `simple-icons` (CC0-1.0).

    npm pack simple-icons && tar xzf simple-icons-*.tgz
    crates/tokenry-web/scripts/logos.py package

Writes `assets/logos/<service id>.svg`, each as the package has it, and `src/logos/table.rs`, which names them.
"""

import json
import pathlib
import re
import shutil
import sys
import tomllib

CRATE = pathlib.Path(__file__).resolve().parent.parent
PROVIDERS = CRATE.parent / "tokenry-oauth" / "providers"

# Where the service's name is another one in the package, or it is a part of a service that has a logo.
ALSO = {
    "42-school": "42",
    "google-business-profile": "google",
    "google-contacts": "google",
    "google-firestore": "firebase",
    "google-workspace-admin": "google",
    "hetzner-cloud": "hetzner",
    "stripe-api-key": "stripe",
    "telegram-bot": "telegram",
    "vk-id": "vk",
    "wechat-official-account": "wechat",
    "weibo": "sinaweibo",
    "wikimedia": "wikimediafoundation",
    "zendesk-sell": "zendesk",
    "zoho-books": "zoho",
    "zoho-crm": "zoho",
    "zoho-desk": "zoho",
    "zoho-mail": "zoho",
}
# The package means somebody else by the same name.
OTHERS = {"fathom", "globus", "kit"}
# Names that differ more than by their punctuation.
LONGER = {
    "battle-net": "battledotnet",
    "fly-io": "flydotio",
    "gemini": "googlegemini",
    "grafana-cloud": "grafana",
    "mistral": "mistralai",
    "starling": "starlingbank",
    "start-gg": "startdotgg",
    "toggl-track": "toggltrack",
}


def plain(text):
    return re.sub("[^a-z0-9]", "", text.lower())


def main(package):
    icons = {file.stem: file for file in (package / "icons").glob("*.svg")}
    version = json.loads((package / "package.json").read_text())["version"]
    logos = CRATE / "assets" / "logos"
    for old in logos.glob("*.svg"):
        old.unlink()
    table, written = [], {}
    for file in sorted(PROVIDERS.glob("*.toml"), key=lambda file: file.stem):
        data = tomllib.loads(file.read_text())
        service = data["id"]
        if service in OTHERS:
            continue
        names = [ALSO.get(service), LONGER.get(service), plain(service), plain(data["name"])]
        slug = next((name for name in names if name in icons), None)
        if slug is None:
            continue
        if slug not in written:
            written[slug] = service
            shutil.copyfile(icons[slug], logos / f"{service}.svg")
        table.append((service, written[slug]))
    lines = [f'    ("{service}", include_str!("../../assets/logos/{kept}.svg")),' for service, kept in table]
    (CRATE / "src" / "logos" / "table.rs").write_text(
        "//! Made by `scripts/logos.py`: the services that have a logo, by their ids, in the order of the ids.\n\n"
        "pub(super) const LOGOS: &[(&str, &str)] = &[\n" + "\n".join(lines) + "\n];\n"
    )
    (logos / "NOTICE").write_text(
        f"The logos in this directory are from simple-icons {version} (https://simpleicons.org), released as CC0-1.0.\n"
        "The marks belong to their owners; they stand here to name the services that an account is connected at.\n"
    )
    print(f"{len(table)} services, {len(written)} logos")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
