# Sourced: `mirror` prints the Debian archive that this machine's apt already uses, or HEARTHWATCH_DEBIAN_MIRROR.
mirror() {
    if [[ -n ${HEARTHWATCH_DEBIAN_MIRROR:-} ]]; then
        echo "$HEARTHWATCH_DEBIAN_MIRROR"
        return
    fi
    local uri
    while read -r uri; do
        case ${uri%/} in
            */debian) echo "$uri" && return ;;
        esac
    done < <(apt-get indextargets --format '$(REPO_URI)' 'Component: main')
    echo "apt knows no Debian archive; name one in HEARTHWATCH_DEBIAN_MIRROR" >&2
    return 1
}
