package busdir

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"

	"github.com/fleetfold/fleetfold/pkg/busconf"
)

// Server is one of a cluster.
type Server struct {
	// Name is unique in the cluster, and that of the folder below servers/.
	Name string
	// Host is the name or address by which the other servers reach this one.
	Host string
	// Listen, Monitor and Route are the HOST:PORT on which it listens for
	// clients, for monitoring and for the other servers. Of the last, others use
	// the port, with Host.
	Listen, Monitor, Route string
}

// address by which others reach what listens there.
func (s Server) address(listen string) (string, error) {
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("read address of server %s: %w", s.Name, err)
	}
	return net.JoinHostPort(s.Host, port), nil
}

// onLoopback says that nobody on another machine reaches it.
func (s Server) onLoopback() bool {
	ip := net.ParseIP(s.Host)
	return s.Host == "localhost" || ip != nil && ip.IsLoopback()
}

// serverDir is the folder of a server, with what differs from others.
type serverDir struct {
	path   string
	hosts  []string
	config busconf.Config
}

// servers writes configurations last: they name only files that are there.
func (w *writer) servers() error {
	all, err := w.serverDirs()
	if err != nil {
		return err
	}
	for _, s := range all {
		if err := w.certificates(s); err != nil {
			return fmt.Errorf("make identity of the server: %w", err)
		}
	}
	for _, s := range all {
		if err := w.configuration(s); err != nil {
			return err
		}
	}
	return w.unused(all)
}

// unused finds folders of servers from before: their configurations grow old.
func (w *writer) unused(all []serverDir) error {
	var found []string
	entries, err := os.ReadDir(filepath.Join(w.Dir, "servers"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for other servers: %w", err)
	}
	for _, e := range entries {
		found = append(found, filepath.Join(w.Dir, "servers", e.Name()))
	}
	if single := filepath.Dir(ConfigFile(w.Dir)); exists(single) {
		found = append(found, single)
	}
	for _, path := range found {
		if !slices.ContainsFunc(all, func(s serverDir) bool { return s.path == path }) {
			w.report.Unused = append(w.report.Unused, w.below(path))
		}
	}
	return nil
}

func (w *writer) serverDirs() ([]serverDir, error) {
	if len(w.Servers) == 0 {
		return []serverDir{{filepath.Dir(ConfigFile(w.Dir)), hosts(w.Hosts), w.Config}}, nil
	}
	var routes []string
	for _, s := range w.Servers {
		address, err := s.address(s.Route)
		if err != nil {
			return nil, err
		}
		routes = append(routes, address)
	}
	var all []serverDir
	for i, s := range w.Servers {
		c := w.Config
		c.Name, c.Listen, c.Monitor = s.Name, s.Listen, s.Monitor
		c.Cluster = &busconf.Cluster{Listen: s.Route, Routes: routes}
		if !s.onLoopback() {
			clients, err := s.address(s.Listen)
			if err != nil {
				return nil, err
			}
			c.Cluster.Advertise, c.Cluster.AdvertiseRoute = clients, routes[i]
		}
		all = append(all, serverDir{filepath.Dir(ServerConfigFile(w.Dir, s.Name)), hosts(append(slices.Clone(w.Hosts), s.Host)), c})
	}
	return all, nil
}

func (w *writer) certificates(s serverDir) error {
	if err := w.pair(s, w.ca, busconf.CAFile, busconf.CertFile, busconf.KeyFile, server(s.hosts)); err != nil {
		return err
	}
	if s.config.Cluster == nil {
		return nil
	}
	routes, err := openAuthority(filepath.Join(w.Dir, "ca", "routes"), w.Now)
	if err != nil {
		return err
	}
	return w.pair(s, routes, busconf.RouteCAFile, busconf.RouteCertFile, busconf.RouteKeyFile, route(s.hosts))
}

func (w *writer) pair(s serverDir, ca *authority, caFile, certFile, keyFile string, n name) error {
	in := func(file string) string { return filepath.Join(s.path, filepath.FromSlash(file)) }
	done, err := ca.issue(in(certFile), in(keyFile), n)
	if err != nil {
		return err
	}
	if caFile == busconf.CAFile { // a server is told of once
		w.note(s.path, done)
	}
	other, err := replace(in(caFile), ca.pem)
	w.report.Changed = w.report.Changed || other || done != kept
	return err
}

func (w *writer) configuration(s serverDir) error {
	if s.config.Dir == "" {
		absolute, err := filepath.Abs(s.path)
		if err != nil {
			return fmt.Errorf("find folder of the server: %w", err)
		}
		s.config.Dir = filepath.ToSlash(absolute)
	}
	text, err := w.text(s.config)
	if err != nil {
		return err
	}
	changed, err := replace(filepath.Join(s.path, "nats-server.conf"), []byte(text))
	w.report.Changed = w.report.Changed || changed
	return err
}

func (w *writer) text(c busconf.Config) (string, error) {
	if w.tokens == nil {
		return c.Text()
	}
	signed, err := w.tokens.sign(c)
	if err != nil {
		return "", err
	}
	return c.TokenText(signed)
}

func hosts(more []string) []string {
	all := slices.Clone(loopback)
	for _, h := range more {
		if !slices.Contains(all, h) {
			all = append(all, h)
		}
	}
	return all
}
