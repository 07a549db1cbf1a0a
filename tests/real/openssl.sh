# openssl.sh DIR PORT: speed without its numbers, keys and certificates, a TLS server and its clients.
set -u
cd "$1" || exit 1
openssl speed -seconds 1 -multi 2 -mr sha256 2> log | grep -oE '^\+F:[0-9]+:[^:]+'
openssl speed -seconds 1 -bytes 8192 -evp aes-256-gcm 2>> log | grep -c AES-256-GCM
openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key 2>> log; echo "key $?"
openssl req -new -x509 -key key -days 1 -subj /CN=localhost -out certificate && openssl verify -CAfile certificate certificate
head -c 1M /dev/zero > zeros
openssl enc -aes-256-cbc -pbkdf2 -pass pass:x -S 0102030405060708 -in zeros -out cipher && openssl enc -d -aes-256-cbc -pbkdf2 -pass pass:x -S 0102030405060708 -in cipher | cmp - zeros && sha256sum cipher
openssl dgst -sha256 -sign key -out signature zeros && openssl x509 -in certificate -pubkey -noout > public && openssl dgst -sha256 -verify public -signature signature zeros
openssl s_server -accept "127.0.0.1:$2" -cert certificate -key key -www > server.log 2>&1 & server=$!
for _ in $(seq 200); do (exec 3<> "/dev/tcp/127.0.0.1/$2") 2> log && break; sleep 0.05; done
for version in tls1_2 tls1_3; do
    printf 'GET / HTTP/1.0\r\n\r\n' | timeout 20 openssl s_client -connect "127.0.0.1:$2" -CAfile certificate -quiet -ign_eof -$version 2>> log | head -n 1
done
kill $server; wait $server; echo "server $?"
