package busconf

import (
	_ "embed"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// Defaults of a Config. Clients connect at DefaultListen; the monitoring pages,
// which ask nobody who they are, are on loopback.
const (
	DefaultListen  = "0.0.0.0:4222"
	DefaultMonitor = "127.0.0.1:8222"
	DefaultName    = "fleetfold"
)

// Files that the configuration names, in the server's folder.
const (
	CAFile   = "tls/ca.crt"
	CertFile = "tls/server.crt"
	KeyFile  = "tls/server.key"
)

// Files that it names when the server is one of a cluster. Routes have a
// certificate and an authority of their own: whoever has a certificate of the
// clients' authority could else pose as a server, which may do everything.
const (
	RouteCAFile   = "tls/route-ca.crt"
	RouteCertFile = "tls/route.crt"
	RouteKeyFile  = "tls/route.key"
)

// Config of a server.
type Config struct {
	// Prefix of the fleet's subjects; empty means events.DefaultPrefix.
	Prefix string
	// TrustDomain of the nodes, without spiffe://. Not needed without nodes.
	TrustDomain string
	// Nodes that may connect. The order is kept.
	Nodes []fleet.NodeID
	// Listen is where clients connect, HOST:PORT; empty means DefaultListen.
	Listen string
	// Dir is the server's folder as the server will see it, with slashes. Empty
	// means the folder that it is started in.
	Dir string
	// Name of the server; empty means DefaultName. Replicas are kept by it.
	Name string
	// Monitor is where the monitoring pages are, HOST:PORT; empty means
	// DefaultMonitor.
	Monitor string
	// Cluster that the server is one of; nil for one that stands alone.
	Cluster *Cluster
	// LogDir is a folder, with slashes and as the server will see it, that it writes
	// its log into: LogFile. Empty means standard error.
	LogDir string
	// Importer says that somebody may fill the log of an empty system now.
	Importer bool
}

// Cluster is one server's part in a cluster.
type Cluster struct {
	// Listen is where it takes the other servers' routes, HOST:PORT.
	Listen string
	// Routes are the HOST:PORT of all its servers, its own among them.
	Routes []string
	// Advertise and AdvertiseRoute are the HOST:PORT that clients and servers are
	// told of, which the server's certificates name. Empty means the addresses of
	// the machine.
	Advertise, AdvertiseRoute string
}

// LogFile is where the server writes its log; empty without LogDir. The server
// begins another one when it has 64 MB, and keeps the three before.
func (c Config) LogFile() string {
	if c.LogDir == "" {
		return ""
	}
	orDefault(&c.Name, DefaultName)
	return path.Join(c.LogDir, c.Name+".log")
}

// Services are the roles that have an identity under this configuration.
func (c Config) Services() []Role {
	all := slices.Clone(Services[:])
	if c.Importer {
		all = append(all, Importer)
	}
	return all
}

// Text of the configuration. It names no folder for JetStream: the server takes
// that from its command line (-sd).
func (c Config) Text() (string, error) {
	p, err := c.page()
	if err != nil {
		return "", fmt.Errorf("write server configuration: %w", err)
	}
	return p.text()
}

func (p page) text() (string, error) {
	var b strings.Builder
	if err := p.template().Execute(&b, p); err != nil {
		return "", fmt.Errorf("write server configuration: %w", err)
	}
	return b.String(), nil
}

func (c *Config) setDefaults() {
	orDefault(&c.Prefix, events.DefaultPrefix)
	orDefault(&c.Listen, DefaultListen)
	orDefault(&c.Monitor, DefaultMonitor)
	orDefault(&c.Name, DefaultName)
}

func orDefault(value *string, otherwise string) {
	if *value == "" {
		*value = otherwise
	}
}

//go:embed nats-server.conf.tmpl
var text string

func (p page) template() *template.Template {
	return template.Must(template.New("nats-server.conf").Funcs(template.FuncMap{
		"quote":   strconv.Quote,
		"owner":   ownerOf,
		"answers": func() int { return answers },
		"expires": func() string { return answerTime.String() },
		"join":    func(list []string) string { return strings.Join(list, ", ") },
		"file":    func(name string) string { return strconv.Quote(path.Join(p.Dir, name)) },
		"list": func(subjects []string) string {
			quoted := make([]string, len(subjects))
			for i, s := range subjects {
				quoted[i] = strconv.Quote(s)
			}
			return "[" + strings.Join(quoted, ", ") + "]"
		},
	}).Parse(text))
}

// page is what the template shows.
type page struct {
	Config
	Services, NodeUsers []user
	// What nodes may ask of the services' account, and hear from it.
	NodeAsks, NodeHears []string
	// People are in an account each.
	People  []person
	Exports []export
	// SystemExports are what the servers' own account lets people ask.
	SystemExports []export
	Commands      string
	// Signed is for a server that asks for tokens; nil for one that goes by
	// certificates.
	Signed *Signed
}

type user struct {
	Role Role
	Name string
	Grant
}

// person is one who acts in a role, in the account of the role.
type person struct {
	Account string
	user
}

// export is what the services' account lets people ask.
type export struct {
	Subject  string
	Accounts []string
	// Many says that one question may have many answers: of JetStream, and of
	// all the services of a kind.
	Many bool
}

func (c Config) check() error {
	if _, err := events.NewSubjects(c.Prefix); err != nil {
		return err
	}
	said := c.Listen + c.Dir + c.Name + c.Monitor
	if c.Cluster != nil {
		said += c.Cluster.Listen + c.Cluster.Advertise + c.Cluster.AdvertiseRoute + strings.Join(c.Cluster.Routes, "")
	}
	if strings.ContainsAny(said, "\"\\\n") {
		return errors.New("an address, a name or the folder has a quote, a backslash or a line break")
	}
	return nil
}

// page adds the nodes to the structure.
func (c Config) page() (page, error) {
	p, err := c.structure()
	if err != nil {
		return page{}, err
	}
	for _, id := range c.Nodes {
		uri, err := identity.SPIFFEID(c.TrustDomain, id)
		if err != nil {
			return page{}, err
		}
		p.NodeUsers = append(p.NodeUsers, user{Node, uri, grant(Node, p.Prefix, events.Token(id))})
	}
	return p, nil
}

// structure is who asks what of whom, whichever the nodes are.
func (c Config) structure() (page, error) {
	c.setDefaults()
	if err := c.check(); err != nil {
		return page{}, err
	}
	p := page{Config: c, Commands: c.Prefix + ".command.*"}
	for _, r := range c.Services() {
		u := user{r, r.URI(), grant(r, c.Prefix, "")}
		if !r.IsPerson() {
			p.Services = append(p.Services, u)
			continue
		}
		p.People = append(p.People, person{r.Account(), u})
		for _, s := range u.Publish {
			if ownerOf(s) == SystemAccount {
				p.SystemExports = share(p.SystemExports, s, r.Account())
			} else {
				p.Exports = share(p.Exports, s, r.Account())
			}
		}
	}
	nodes := grant(Node, c.Prefix, "*") // whichever node
	p.NodeAsks = nodes.Publish
	for _, s := range nodes.Subscribe {
		if strings.HasPrefix(s, c.Prefix+".trust.") {
			p.NodeHears = append(p.NodeHears, s)
		}
	}
	return p, nil
}

// ownerOf is the account that answers a question of people.
func ownerOf(subject string) string {
	if strings.HasPrefix(subject, "$SYS.") {
		return SystemAccount
	}
	return servicesName
}

// share exports a subject to one more account. Two exports of one subject would
// not do: the second would take the place of the first.
func share(all []export, subject, account string) []export {
	i := slices.IndexFunc(all, func(e export) bool { return e.Subject == subject })
	if i < 0 {
		all, i = append(all, export{Subject: subject, Many: strings.HasPrefix(subject, "$")}), len(all)
	}
	all[i].Accounts = append(all[i].Accounts, account)
	return all
}
