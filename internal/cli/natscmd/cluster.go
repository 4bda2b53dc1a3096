package natscmd

import (
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/fleetfold/fleetfold/internal/busdir"
	"github.com/fleetfold/fleetfold/internal/cli"
)

const (
	defaultRoutePort   = 6222
	defaultMonitorPort = 8222
	highestPort        = 65535
)

// clusterFlags say of how many servers the bus is, and where they are.
type clusterFlags struct {
	number, port int
	hosts        []string
}

func (c *clusterFlags) addTo(fs *pflag.FlagSet) {
	fs.IntVar(&c.number, "servers", 1, "`NUMBER` of servers, 1, 3 or 5: of three any one, and of five any two may be lost; streams have three replicas. Without --cluster-host all are for this machine, to try it out, with ports counted up")
	fs.StringArrayVar(&c.hosts, "cluster-host", nil, "`HOST` name or address of a server of the cluster, for clients and for the other servers; once for each of --servers")
	fs.IntVar(&c.port, "cluster-port", defaultRoutePort, "`PORT` on which servers of a cluster hear each other, 1 to 65535")
}

func (c *clusterFlags) check() error {
	switch {
	case !slices.Contains([]int{1, 3, 5}, c.number):
		return cli.Usagef("--servers %d is not 1, 3 or 5", c.number)
	case c.number == 1 && len(c.hosts) > 0:
		return cli.Usagef("--cluster-host is for several servers: give --servers %d too", max(3, len(c.hosts)))
	case len(c.hosts) > 0 && len(c.hosts) != c.number:
		return cli.Usagef("--servers %d needs --cluster-host as often, it is there %d times", c.number, len(c.hosts))
	case c.port < 1 || c.port > highestPort:
		return cli.Usagef("--cluster-port %d is not from 1 to %d", c.port, highestPort)
	}
	for i, h := range c.hosts {
		if h == "" || slices.Contains(c.hosts[:i], h) {
			return cli.Usagef("--cluster-host %q is empty, or there twice", h)
		}
		if _, _, err := net.SplitHostPort(h); err == nil {
			return cli.Usagef("--cluster-host %q has a port: give that with --cluster-port", h)
		}
	}
	return nil
}

// servers is empty for one that stands alone.
func (c *clusterFlags) servers(listen string) ([]busdir.Server, error) {
	if err := c.check(); err != nil || c.number == 1 {
		return nil, err
	}
	host, first, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, cli.Usagef("--listen %q is not HOST:PORT", listen)
	}
	port, err := strconv.Atoi(first)
	if err != nil || port < 1 || port > highestPort-c.number || c.port > highestPort-c.number {
		return nil, cli.Usagef("--listen %q and --cluster-port %d leave no room for the ports of %d servers", listen, c.port, c.number)
	}
	if ip := net.ParseIP(host); len(c.hosts) > 0 && (host == "localhost" || ip != nil && ip.IsLoopback()) {
		return nil, cli.Usagef("--listen %q is for this machine only: the servers of --cluster-host would not reach each other", listen)
	}
	var all []busdir.Server
	for i := range c.number {
		s := busdir.Server{Name: fmt.Sprintf("nats-%d", i+1), Host: "127.0.0.1", Listen: address(host, port+i), Monitor: address("127.0.0.1", defaultMonitorPort+i), Route: address("127.0.0.1", c.port+i)}
		if len(c.hosts) > 0 { // each has a machine of its own
			s.Host, s.Listen, s.Monitor, s.Route = c.hosts[i], listen, address("127.0.0.1", defaultMonitorPort), address(host, c.port)
		}
		all = append(all, s)
	}
	return all, nil
}

func address(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
