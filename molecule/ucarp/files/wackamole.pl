# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# wackamole.pl FOLDER [PORT]
#
# Stands in for the wackamole daemon, which no Debian release has: it loads Rcron.pm out of FOLDER and calls its functions
# as perl.c, userloader.c and wackamole.c of wackamole 2.1.4 do. With PORT it holds a connection to that port of this machine
# open, as the daemon holds Spread's. Reads events from standard input, one a line:
#
#     up IFNAME:ADDRESS/NETMASK...      a virtual interface of these addresses has been taken
#     down IFNAME:ADDRESS/NETMASK...    it has been released: the function is called once for each of its addresses
#     post up, post down                a whole round of that is over; without an address
#     quit                              a silent end, as by SIGKILL
#
# For each call it prints what the function returned.
use strict;
use warnings;
use IO::Handle;
use IO::Socket::INET;

$0 = 'wackamole'; # what ps shows
STDOUT->autoflush(1);
my ($folder, $port) = @ARGV;
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

while (my $line = <STDIN>) {
    my ($event, @words) = split ' ', $line;
    exit 0 if $event eq 'quit';
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
