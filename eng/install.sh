# Sourced: what the project's scripts install when it is missing.

# need_packages PACKAGE:COMMAND-OR-FILE...: installs with apt, as root, the Debian packages whose command or file is missing.
# False when something is still missing; says what.
need_packages() {
    local item package probe missing=()
    for item in "$@"; do
        package=${item%%:*} probe=${item#*:}
        case $probe in
            /*) [ -e "$probe" ] || missing+=("$package") ;;
            *) command -v "$probe" > /dev/null || missing+=("$package") ;;
        esac
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
        echo "moat: these packages are missing: ${missing[*]}" >&2
        return 1
    fi
    echo "moat: installing ${missing[*]}" >&2
    local log
    log=$(mktemp)
    if ! { DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" ||
        { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"; }; } < /dev/null > "$log" 2>&1; then
        tail -n 5 "$log" >&2
        rm -f "$log"
        echo "moat: apt-get could not install ${missing[*]}" >&2
        return 1
    fi
    rm -f "$log"
}

# need_module NAME@VERSION FOLDER: installs what the npm registry has, without running its scripts, where it is missing.
need_module() {
    [ -e "$2/${1%@*}/package.json" ] && [ "$(sed -n 's/.*"version": "\([^"]*\)".*/\1/p' "$2/${1%@*}/package.json" | head -n 1)" = "${1##*@}" ] && return 0
    echo "moat: installing $1" >&2
    local log
    log=$(mktemp)
    if ! npm install --prefix "$(dirname "$2")" --no-audit --no-fund --no-save --ignore-scripts --silent "$1" < /dev/null > "$log" 2>&1; then
        tail -n 5 "$log" >&2
        rm -f "$log"
        echo "moat: npm could not install $1" >&2
        return 1
    fi
    rm -f "$log"
}

# need_dotnet: the SDK that global.json asks for.
need_dotnet() {
    if ! command -v dotnet > /dev/null; then
        [ -x /usr/share/dotnet/dotnet ] && PATH=$PATH:/usr/share/dotnet
        [ -x "$HOME/.dotnet/dotnet" ] && PATH=$PATH:$HOME/.dotnet
        export PATH
    fi
    if ! command -v dotnet > /dev/null; then
        echo "moat: the .NET 10 SDK is missing, and Debian has no package of it: install it as https://learn.microsoft.com/dotnet/core/install/linux says" >&2
        return 1
    fi
    if ! dotnet --version > /dev/null 2>&1; then
        echo "moat: the .NET SDK here is older than global.json asks for: install the .NET 10 SDK as https://learn.microsoft.com/dotnet/core/install/linux says" >&2
        return 1
    fi
    export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_CLI_USE_MSBUILD_SERVER=0 MSBUILDDISABLENODEREUSE=1
}
