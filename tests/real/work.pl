# work.pl DIR: what perl scripts do with the system.
use strict;
use warnings;
use Fcntl qw(:flock :seek);
use IO::Socket::INET;
use IO::Select;
use POSIX qw(:sys_wait_h);
use Socket;

chdir $ARGV[0] or die "chdir: $!";
$| = 1;
open(my $out, '>', 'lines') or die $!;
print $out "line $_\n" for 1 .. 5000;
close $out;
print -s 'lines', "\n";
open(my $sorted, '-|', 'sort', '-r', 'lines') or die $!;
my @sorted = <$sorted>;
print $sorted[0];
close $sorted;
print "status $?\n";
my $text = `echo captured; exit 3`;
print $text, $? >> 8, "\n";
my %ended;
for my $n (1 .. 8) {
    my $pid = fork() // die $!;
    if (!$pid) {
        open(my $f, '+<', 'lines') or die $!;
        for (1 .. 20) { flock($f, LOCK_EX) or die $!; flock($f, LOCK_UN); }
        POSIX::_exit($n);
    }
    $ended{$pid} = $n;
}
my $right = 0;
while ((my $pid = waitpid(-1, 0)) > 0) { $right++ if $ended{$pid} == $? >> 8; }
print "children $right\n";
socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die $!;
if (!fork()) { close $a; syswrite($b, uc $_) while (sysread($b, $_, 4096)); POSIX::_exit(0); }
close $b;
syswrite($a, "shout\n");
sysread($a, my $answer, 100);
print $answer;
close $a;
wait;
my $server = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die $!;
my $port = $server->sockport;
for my $n (1 .. 5) {
    next if fork();
    my $c = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die $!;
    print $c "client $n\n";
    POSIX::_exit(scalar(<$c>) eq "hello $n\n" ? 0 : 1);
}
for (1 .. 5) {
    my $c = $server->accept or die $!;
    my ($n) = <$c> =~ /(\d+)/;
    print $c "hello $n\n";
    close $c;
}
my $bad = 0;
while (wait() > 0) { $bad++ if $?; }
print "failed clients $bad\n";
my $ticks = 0;
local $SIG{ALRM} = sub { $ticks++ };
alarm 1;
select(undef, undef, undef, 5);
print "ticks $ticks\n";
local $SIG{PIPE} = sub { print "broken pipe\n" };
pipe(my $r, my $w) or die $!;
close $r;
syswrite($w, "x");
system($^X, '-pi', '-e', 's/line/row/', 'lines');
print `head -n 1 lines`;
opendir(my $d, '.') or die $!;
print join(' ', sort grep { !/^\./ } readdir $d), "\n";
rename 'lines', 'rows' and symlink 'rows', 'link' and print readlink('link'), ' ', -l 'link' ? 1 : 0, "\n";
my @times = (1_000_000_000, 1_100_000_000);
utime @times, 'rows';
print join(' ', (stat 'rows')[8, 9]), "\n";
exec 'sh', '-c', 'echo the end; exit 4';
