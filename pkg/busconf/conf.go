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

// DefaultListen is where clients connect.
const DefaultListen = "0.0.0.0:4222"

// Files that the configuration names, in the server's folder.
const (
	CAFile   = "tls/ca.crt"
	CertFile = "tls/server.crt"
	KeyFile  = "tls/server.key"
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
}

// Text of the configuration. It names no folder for JetStream: the server takes
// that from its command line (-sd).
func (c Config) Text() (string, error) {
	orDefault(&c.Prefix, events.DefaultPrefix)
	orDefault(&c.Listen, DefaultListen)
	page, err := c.page()
	if err != nil {
		return "", fmt.Errorf("write server configuration: %w", err)
	}
	var b strings.Builder
	if err := c.template().Execute(&b, page); err != nil {
		return "", fmt.Errorf("write server configuration: %w", err)
	}
	return b.String(), nil
}

func orDefault(value *string, otherwise string) {
	if *value == "" {
		*value = otherwise
	}
}

//go:embed nats-server.conf.tmpl
var text string

func (c Config) template() *template.Template {
	return template.Must(template.New("nats-server.conf").Funcs(template.FuncMap{
		"quote": strconv.Quote,
		"owner": ownerOf,
		"join":  func(list []string) string { return strings.Join(list, ", ") },
		"file":  func(name string) string { return strconv.Quote(path.Join(c.Dir, name)) },
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
}

type user struct {
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

func (c Config) page() (page, error) {
	if _, err := events.NewSubjects(c.Prefix); err != nil {
		return page{}, err
	}
	if strings.ContainsAny(c.Listen+c.Dir, "\"\\\n") {
		return page{}, errors.New("an address or the folder has a quote, a backslash or a line break")
	}
	p := page{Config: c, Commands: c.Prefix + ".command.*"}
	for _, r := range Services {
		u := user{r.URI(), grant(r, c.Prefix, "")}
		if !r.IsPerson() {
			p.Services = append(p.Services, u)
			continue
		}
		account := strings.ToUpper(string(r)) + "S"
		p.People = append(p.People, person{account, u})
		for _, s := range u.Publish {
			if ownerOf(s) == systemAccount {
				p.SystemExports = share(p.SystemExports, s, account)
			} else {
				p.Exports = share(p.Exports, s, account)
			}
		}
	}
	for _, id := range c.Nodes {
		uri, err := identity.SPIFFEID(c.TrustDomain, id)
		if err != nil {
			return page{}, err
		}
		p.NodeUsers = append(p.NodeUsers, user{uri, grant(Node, c.Prefix, events.Token(id))})
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

// Accounts that people ask.
const (
	systemAccount   = "SYS"
	servicesAccount = "SERVICES"
)

// ownerOf is the account that answers a question of people.
func ownerOf(subject string) string {
	if strings.HasPrefix(subject, "$SYS.") {
		return systemAccount
	}
	return servicesAccount
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
