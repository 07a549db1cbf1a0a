# keys.sh DIR: keys of each type; what has a number or a name of its own is left out.
set -u
cd "$1" || exit 1
for type in rsa ecdsa ed25519; do
    ssh-keygen -q -t $type -N '' -C comment -f $type; echo "$type $?"
    ssh-keygen -l -f $type.pub | sed 's/SHA256:[^ ]*//'
    ssh-keygen -y -f $type | cmp - <(cut -d ' ' -f 1-3 $type.pub) && echo "public part right"
    echo text > text && ssh-keygen -q -Y sign -f $type -n file text 2> log; echo "sign $?"
    echo "me $(cut -d ' ' -f 1,2 $type.pub)" > allowed
    ssh-keygen -q -Y verify -f allowed -I me -n file -s text.sig < text > log; echo "verify $?"
    rm -f text.sig
    ssh-keygen -q -p -N secret -f $type > log; ssh-keygen -y -P wrong -f $type > log 2>&1; echo "wrong $?"
done
ssh-keygen -q -s ed25519 -P secret -I id -n user -V +1d rsa.pub; ssh-keygen -L -f rsa-cert.pub | grep -E 'Type|Key ID|user$'
ls
