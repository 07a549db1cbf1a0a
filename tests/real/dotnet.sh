# dotnet.sh DIR: the SDK of .NET builds a program with a web server in it, and runs it.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cd "$1" || exit 1
export HOME=$PWD DOTNET_CLI_HOME=$PWD DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_GENERATE_ASPNET_CERTIFICATE=0 \
    DOTNET_CLI_USE_MSBUILD_SERVER=0 MSBUILDDISABLENODEREUSE=1 NUGET_PACKAGES=$PWD/packages
dotnet --info | grep -E 'Version: |RID:|Base Path:'
mkdir app data data2 && cd app || exit 1
cat > app.csproj << 'END'
<Project Sdk="Microsoft.NET.Sdk.Web">
  <PropertyGroup>
    <TargetFramework>net10.0</TargetFramework>
    <Nullable>enable</Nullable>
    <ImplicitUsings>enable</ImplicitUsings>
    <InvariantGlobalization>true</InvariantGlobalization>
    <UseSharedCompilation>false</UseSharedCompilation>
  </PropertyGroup>
</Project>
END
cp "$here/dotnet.cs" Program.cs
dotnet build -v q -o out 2>&1 | grep -E 'error|Warn|Err'
DOTNET_gcServer=0 dotnet out/app.dll ../data
echo "server, workstation GC: $?"
DOTNET_gcServer=1 DOTNET_TieredPGO=0 dotnet out/app.dll ../data2 | tail -n 1
echo "server GC: ${PIPESTATUS[0]}"
