"""A real Zun API on 127.0.0.1: sqlite, no compute host, its tokens checked by the real Keystone; run by the venv of the services."""

import sys
from pathlib import Path

CONFIGURATION = """
[DEFAULT]
use_stderr = false
log_file = {folder}/zun.log
transport_url = fake://
state_path = {folder}
# Nobody answers: there is no compute host.
rpc_response_timeout = 1
[database]
connection = sqlite:///{folder}/zun.db
[api]
api_paste_config = {paste}
[keystone_authtoken]
www_authenticate_uri = {keystone}
auth_url = {keystone}
auth_type = password
username = admin
password = {password}
user_domain_id = default
project_name = admin
project_domain_id = default
region_name = {region}
service_token_roles_required = false
interface = public
[keystone_auth]
auth_url = {keystone}
auth_type = password
username = admin
password = {password}
user_domain_id = default
project_name = admin
project_domain_id = default
[placement_client]
region_name = {region}
[neutron_client]
region_name = {region}
[oslo_concurrency]
lock_path = {folder}
"""


def prepare(folder: Path, keystone: str, password: str, region: str) -> Path:
    """The configuration, and the tables: Zun's migrations do not run on sqlite, its models do."""
    import sqlalchemy
    from zun.db.sqlalchemy import models

    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "zun.conf"
    paste = Path(sys.prefix) / "etc" / "zun" / "api-paste.ini"
    configuration.write_text(
        CONFIGURATION.format(folder=folder, paste=paste, keystone=keystone, password=password, region=region)
    )
    models.Base.metadata.create_all(sqlalchemy.create_engine(f"sqlite:///{folder}/zun.db"))
    return configuration


def serve(configuration: Path, port: int) -> None:
    """Until the process ends."""
    import waitress
    from zun.api import wsgi

    sys.argv = ["zun-api", "--config-file", str(configuration)]
    waitress.serve(wsgi.init_application(), host="127.0.0.1", port=port, threads=4)


if __name__ == "__main__":
    place, url, secret, name, number = sys.argv[1:]
    serve(prepare(Path(place), url, secret, name), int(number))
