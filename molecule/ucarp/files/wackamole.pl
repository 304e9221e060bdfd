# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# wackamole.pl FOLDER [PORT [CONTROL]]
#
# Stands in for the wackamole daemon, which no Debian release has: it loads Rcron.pm out of FOLDER and calls its functions
# as perl.c, userloader.c and wackamole.c of wackamole 2.1.4 do. With PORT (but 0) it holds a connection to that port of this
# machine open, as the daemon holds Spread's. With CONTROL it answers on that socket as control.c does. Reads events from
# standard input, one a line:
#
#     up IFNAME:ADDRESS/NETMASK...      a virtual interface of these addresses has been taken
#     down IFNAME:ADDRESS/NETMASK...    it has been released: the function is called once for each of its addresses
#     post up, post down                a whole round of that is over; without an address
#     lose up|down ...                  the same, but the function is not called: the event is lost
#     quit                              a silent end, as by SIGKILL
#
# For each call it prints what the function returned.
use strict;
use warnings;
use IO::Handle;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;

$0 = 'wackamole'; # what ps shows
STDOUT->autoflush(1);
my ($folder, $port, $path) = @ARGV;
eval "use lib '$folder'; 1" or die $@;
eval "use Rcron; 1"         or die $@;

# Open in everything that is started from here, as descriptors of a program in C are.
my $spread;
if ($port) {
    local $^F = 1_000;
    $spread = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die "port $port: $@";
}

# The daemon's own handlers, which a copy of it must not run.
for my $name (qw(INT TERM BUS QUIT SEGV)) {
    $SIG{$name} = sub { syswrite STDOUT, "handler $name in $$\n"; };
}

sub interface {
    my ($ifname, $ip, $netmask) = @_;
    return { ifname => $ifname, ip => $ip, broadcast => '255.255.255.255', netmask => $netmask };
}

# The virtual interfaces that have been taken: the addresses of each, with blanks between them.
my %held;
my $own = '127.0.0.1';    # this machine's own address, as its peers know it

# Answers the byte 0 as set_state_wack_state does: for each virtual interface a priority, its owner's interface, its own
# first one and 30 more.
sub answer {
    my ($connection) = @_;
    my $asked = '';
    return if !sysread($connection, $asked, 1) || $asked ne "\0";
    my $table = '';
    for my $addresses (keys %held) {
        my $owner = $held{$addresses} ? $own : '0.0.0.0';
        my @places = map { pack 'Z16 a4 a4 a4', 'eth0', inet_aton($_), "\xff" x 4, "\xff" x 4 } $owner, split ' ', $addresses;
        push @places, "\0" x 28 while @places < 32;
        $table .= pack('N', 1) . join '', @places;
    }
    syswrite $connection, pack('N', length $table) . $table;
    return;
}

my $selected = IO::Select->new(\*STDIN);
my $control;
if ($path) {
    unlink $path;
    $control = IO::Socket::UNIX->new(Local => $path, Listen => 5) or die "$path: $!";
    $selected->add($control);
}

# Returns the next line of standard input, nothing at its end.
sub line {
    my $line = '';
    while (substr($line, -1) ne "\n") {
        for my $ready ($selected->can_read) {
            if ($control && $ready == $control) {
                my $connection = $control->accept or next;
                answer($connection);
            }
            elsif (!sysread STDIN, $line, 1, length $line) { return }
        }
    }
    return $line;
}

while (my $line = line()) {
    my ($event, @words) = split ' ', $line;
    exit 0 if $event eq 'quit';
    my $is_lost = $event eq 'lose';
    $event = shift @words if $is_lost;
    $held{join ' ', map { m{:(.+)/} } @words} = $event eq 'up' if $event ne 'post';
    next if $is_lost;
    my ($function, $calls, @interfaces) = ($event, 1);
    if ($event eq 'post') {
        $function   = $words[0];
        @interfaces = interface('', '0.0.0.0', '0.0.0.0');
    }
    else {
        @interfaces = map { interface(m{^(.+):(.+)/(.+)$}) } @words;
        $calls      = @interfaces if $event eq 'down';
    }
    my ($first, @others) = @interfaces;
    for (1 .. $calls) {
        no strict 'refs';
        # Scalar context, no eval: the daemon would end with the function.
        my $value = &{"Rcron::$function"}($first, [@others], interface('eth0', '192.0.2.1', '255.255.255.0'));
        printf "%d\n", $value;
    }
    # wackamole's hashes are gone once the function has returned.
    %{$_} = () for @interfaces;
}
