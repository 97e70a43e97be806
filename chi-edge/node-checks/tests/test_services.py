"""A booted node: systemd, Docker and `docker compose` are Ubuntu's own; a small compose file stands for the fleet's."""

import json

from booted import Booted, disk

# An image that is nothing but a shell: there is no registry to fetch from.
IMAGES = """
mkdir -p /image/bin && cp /bin/busybox /image/bin/
tar -C /image -c . | docker import - hearthwatch-aggregator:0.1.0-amd64
docker tag hearthwatch-aggregator:0.1.0-amd64 hearthwatch-provision:0.1.0-amd64
"""


def test_a_node_without_images_says_how_they_come_and_then_runs_the_fleet(node: Booted) -> None:
    node.root.blank_disk("/volume")
    with disk(node, "/volume") as device:
        without = node.set_up(hearthwatch_data_device=device)
        assert (without.code, without.sentence) == (
            1,
            (
                "hearthwatch_registry is empty, and this node has no images with the tag 0.1.0-amd64. Bring the archives of `cargo "
                "xtask images --arch amd64` here and load each (docker load --input hearthwatch-aggregator-amd64.tar; the same with "
                "provision), then run `sudo hearthwatch-node-setup`; or name a registry."
            ),
        ), without.output
        assert node.run("sh", "-c", IMAGES).returncode == 0

        up = node.set_up(hearthwatch_data_device=device)
        assert up.code == 0, up.output
        active = [node.out("systemctl", "is-active", unit) for unit in UNITS]
        assert active == ["active"] * len(UNITS)
        assert [node.out("systemctl", "is-enabled", unit) for unit in UNITS] == ["enabled"] * len(UNITS)
        mounted = json.loads(node.out("findmnt", "--json", "/srv/hearthwatch"))["filesystems"][0]
        assert mounted["fstype"] == "ext4"
        assert {"nosuid", "nodev", "noatime"} <= set(mounted["options"].split(","))
        assert "table inet hearthwatch" in node.out("nft", "list", "ruleset")

        again = node.set_up(hearthwatch_data_device=device)
        assert (again.code, again.changed) == (0, []), again.output

        # Another commit starts the fleet anew, and keeps its keys.
        keys = node.out("sha256sum", "/srv/hearthwatch/keys/cloud.toml")
        node.root.revision = node.root.release("for services")
        newer = node.set_up(hearthwatch_data_device=device)
        assert newer.changed == ["fleet : Describe the fleet to systemd", "fleet : Restart the fleet"]
        assert node.out("sha256sum", "/srv/hearthwatch/keys/cloud.toml") == keys


UNITS = ("docker.service", "hearthwatch.service", "hearthwatch-firewall.service", "srv-hearthwatch.mount")
