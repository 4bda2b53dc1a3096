package busconf

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
)

// Mode is how the server knows who somebody is.
type Mode string

// The modes. With Certificates the configuration names each node by the URI of
// its client certificate. With Tokens (JWT) it names none: a signing key with a
// template stands for all of them.
const (
	Certificates Mode = "certificate"
	Tokens       Mode = "jwt"
)

// TokensFrom is the number of nodes from which Tokens is the better choice: a
// configuration that names each has megabytes then, and every new node makes
// each server read all of it again.
const TokensFrom = 10_000

// The accounts. In the mode Certificates there is no gate.
const (
	SystemAccount = "SYS"
	// gateAccount stands between nodes and services. All that nodes ask is one
	// export of it, for the reason that the template of the configuration gives;
	// the services' account cannot have that export, since a token may hold no two
	// exports of which one contains the other.
	gateAccount  = "GATE"
	servicesName = "SERVICES"
	nodesAccount = "NODES"
)

// Account is the name of the account that a role's users are in.
func (r Role) Account() string {
	switch {
	case r == Node:
		return nodesAccount
	case r.IsPerson():
		return strings.ToUpper(string(r)) + "S"
	}
	return servicesName
}

// Roles are all that have users: services and nodes.
func Roles() []Role { return append(append([]Role(nil), Services[:]...), Node) }

// AccountNames are the accounts of a server in the mode Tokens.
func AccountNames() []string {
	names := []string{SystemAccount, gateAccount, nodesAccount, servicesName}
	for _, r := range Services {
		if r.IsPerson() {
			names = append(names, r.Account())
		}
	}
	return names
}

// PublicKeys that the tokens of accounts speak of, as nkeys.
type PublicKeys struct {
	// Accounts by name, all of AccountNames.
	Accounts map[string]string
	// Signing keys by role, all of Roles.
	Signing map[Role]string
	// Revoked are users' keys by role, with the time up to which what was issued
	// to them counts for nothing.
	Revoked map[Role]map[string]time.Time
}

// Signed is what a server is told of accounts in the mode Tokens.
type Signed struct {
	// Operator is the token of the operator, System the key of its account.
	Operator, System string
	Accounts         []SignedAccount
}

// SignedAccount is an account's token, signed by the operator.
type SignedAccount struct{ Name, Key, Token string }

// TokenText is Text of a server that asks for tokens. It names no node.
func (c Config) TokenText(s Signed) (string, error) {
	p, err := c.structure()
	if err != nil {
		return "", fmt.Errorf("write server configuration: %w", err)
	}
	p.Signed = &s
	return p.text()
}

// OperatorClaims are those that a server believes accounts by.
func OperatorClaims(key string, keys PublicKeys) *jwt.OperatorClaims {
	c := jwt.NewOperatorClaims(key)
	c.Name, c.SystemAccount = "fleetfold", keys.Accounts[SystemAccount]
	return c
}

// UserClaims are those of somebody in a role: node's own token for a node, "" for a
// service. They grant nothing by itself; the signing key of the role does.
func UserClaims(r Role, token, key string, keys PublicKeys, ends time.Time) *jwt.UserClaims {
	c := jwt.NewUserClaims(key)
	c.SetScoped(true)
	if c.Name = string(r); r == Node {
		c.Name = token
	}
	c.IssuerAccount, c.Expires = keys.Accounts[r.Account()], ends.Unix()
	return c
}

// AccountClaims are those of all accounts, in the order of AccountNames: the
// same accounts and rights as Text writes, and the gate.
func (c Config) AccountClaims(keys PublicKeys) ([]*jwt.AccountClaims, error) {
	p, err := c.structure()
	if err != nil {
		return nil, fmt.Errorf("write accounts: %w", err)
	}
	w := accountWriter{page: p, keys: keys, all: make(map[string]*jwt.AccountClaims)}
	w.open()
	w.scopes()
	w.traffic()
	var list []*jwt.AccountClaims
	for _, name := range AccountNames() {
		claims := w.all[name]
		claims.Exports, claims.Imports = outermostExports(claims.Exports), outermostImports(claims.Imports)
		found := jwt.CreateValidationResults()
		claims.Validate(found)
		if found.IsBlocking(true) {
			return nil, fmt.Errorf("write account %s: %w", name, found.Errors()[0])
		}
		list = append(list, claims)
	}
	return list, nil
}

type accountWriter struct {
	page
	keys PublicKeys
	all  map[string]*jwt.AccountClaims
}

// open makes the accounts. No leaf node may join any, and no user may do without
// its key. Only that of the services has streams.
func (w *accountWriter) open() {
	for _, name := range AccountNames() {
		a := jwt.NewAccountClaims(w.keys.Accounts[name])
		a.Name = name
		a.Limits.DisallowBearer, a.Limits.LeafNodeConn = true, 0
		w.all[name] = a
	}
	streams := &w.all[servicesName].Limits.JetStreamLimits
	streams.MemoryStorage, streams.DiskStorage = jwt.NoLimit, jwt.NoLimit
	streams.Streams, streams.Consumer = jwt.NoLimit, jwt.NoLimit
	for role, keys := range w.keys.Revoked {
		for key, until := range keys {
			w.all[role.Account()].RevokeAt(key, until)
		}
	}
}

// ownToken is where the server fills in the name of the user that connects.
const ownToken = "{{name()}}"

// scopes gives each role its signing key, and to that the role's rights.
func (w *accountWriter) scopes() {
	for _, u := range append(w.Services, user{Role: Node, Grant: grant(Node, w.Prefix, ownToken)}) {
		w.scope(u)
	}
	for _, person := range w.People {
		w.scope(person.user)
	}
}

func (w *accountWriter) scope(u user) {
	s := jwt.NewUserScope()
	s.Key, s.Role = w.keys.Signing[u.Role], string(u.Role)
	s.Template.Pub.Allow.Add(u.Publish...)
	s.Template.Pub.Deny.Add(u.Deny...)
	s.Template.Sub.Allow.Add(u.Subscribe...)
	if u.Answer {
		s.Template.Resp = &jwt.ResponsePermission{MaxMsgs: answers, Expires: answerTime}
	}
	s.Template.AllowedConnectionTypes.Add(jwt.ConnectionTypeStandard)
	w.all[u.Role.Account()].SigningKeys.AddScopedSigner(s)
}

// traffic lets accounts ask and hear each other. Only the operator signs
// accounts, so who may import follows from whose account says so.
func (w *accountWriter) traffic() {
	w.export(gateAccount, jwt.Service, ">", false)
	for _, subject := range w.NodeAsks {
		w.export(servicesName, jwt.Service, subject, false)
		w.imports(gateAccount, jwt.Service, servicesName, subject)
		w.imports(nodesAccount, jwt.Service, gateAccount, subject)
	}
	for _, subject := range w.NodeHears {
		w.export(servicesName, jwt.Stream, subject, false)
		w.imports(nodesAccount, jwt.Stream, servicesName, subject)
	}
	for _, e := range slices.Concat(w.Exports, w.SystemExports) {
		w.export(ownerOf(e.Subject), jwt.Service, e.Subject, e.Many)
	}
	for _, person := range w.People {
		for _, subject := range person.Publish {
			w.imports(person.Account, jwt.Service, ownerOf(subject), subject)
		}
	}
	w.export(nodesAccount, jwt.Service, w.Commands, false)
	w.imports(servicesName, jwt.Service, nodesAccount, w.Commands)
}

func (w *accountWriter) export(account string, kind jwt.ExportType, subject string, many bool) {
	e := &jwt.Export{Name: subject, Subject: jwt.Subject(subject), Type: kind}
	if many {
		e.ResponseType = jwt.ResponseTypeStream
	}
	w.all[account].Exports.Add(e)
}

func (w *accountWriter) imports(account string, kind jwt.ExportType, from, subject string) {
	w.all[account].Imports.Add(&jwt.Import{Name: subject, Subject: jwt.Subject(subject), Account: w.keys.Accounts[from], Type: kind})
}

// outermostExports leaves out what another export contains: a token may not say
// a thing twice. It is exported all the same, with the answers of the other.
func outermostExports(all jwt.Exports) (kept jwt.Exports) {
	for i, e := range all {
		if !slices.ContainsFunc(all[:i], func(o *jwt.Export) bool { return o.Type == e.Type && o.Subject == e.Subject }) &&
			!slices.ContainsFunc(all, func(o *jwt.Export) bool { return o.Type == e.Type && within(e.Subject, o.Subject) }) {
			kept = append(kept, e)
		}
	}
	return kept
}

// outermostImports is the same for what an account asks of another.
func outermostImports(all jwt.Imports) (kept jwt.Imports) {
	same := func(i, o *jwt.Import) bool { return o.Type == i.Type && o.Account == i.Account }
	for n, i := range all {
		if !slices.ContainsFunc(all[:n], func(o *jwt.Import) bool { return same(i, o) && o.Subject == i.Subject }) &&
			!slices.ContainsFunc(all, func(o *jwt.Import) bool { return same(i, o) && within(i.Subject, o.Subject) }) {
			kept = append(kept, i)
		}
	}
	return kept
}

// within says that b has more subjects than a, and all of a's.
func within(a, b jwt.Subject) bool { return a != b && a.IsContainedIn(b) }
