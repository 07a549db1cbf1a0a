# Compilers and runtimes of other languages, and programs that keep processors busy.
program "\`javac\` and a program of threads, files, sockets, processes; three collectors" openjdk-17-jdk-headless:javac
further java cat bash tests/real/java.sh "$volume"
program "\`go build\`, goroutines, channels, net/http, os/exec" golang-go:go
further go cat bash tests/real/go.sh "$volume"
program "\`rustc\` and a program of threads, channels, files, sockets, processes" rustc:rustc
further rust cat bash tests/real/rust.sh "$volume"
program "\`speed -seconds 1 -multi 2\`, keys, certificates, TLS on loopback" openssl:openssl
further openssl cat bash tests/real/openssl.sh "$volume" @PORT@
program "\`ssh-keygen\`: keys of each type, signatures, certificates" openssh-client:ssh-keygen
further ssh-keygen cat bash tests/real/keys.sh "$volume"
program "several threads: \`xz -T2\`, \`zstd -T2\`, and back" xz-utils:xz zstd:zstd
further compressors cat bash tests/real/compressors.sh "$volume"
program "threads, sockets, fork, pipes, ractors, signals" ruby:ruby
further ruby "grep -v warning" ruby tests/real/work.rb
program "compiled and collected; threads, \`/bin/echo\`" sbcl:sbcl
further sbcl cat sbcl --script tests/real/work.lisp
program "processes, TCP, a port, files" erlang-base:erl
further erlang cat bash tests/real/erlang.sh "$volume"
program_npm "an HTTP server, child processes, files, SQLite, workers" @oven/bun-linux-x64@1.4.5
further bun cat "$modules/@oven/bun-linux-x64/bin/bun" tests/real/bun.js "$volume"
program_npm "an HTTP server, child processes, files, TCP, watching" @deno/linux-x64-glibc@2.9.6
further deno cat "$modules/@deno/linux-x64-glibc/deno" run -A tests/real/deno.ts "$volume"
limit=600
program "\`dotnet --info\`, \`dotnet build\`, Kestrel, files, processes, both collectors" dotnet-sdk-10.0:dotnet
further dotnet cat bash tests/real/dotnet.sh "$volume"
