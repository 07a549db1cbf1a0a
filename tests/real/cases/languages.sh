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
