package busconf

import (
	"crypto/x509"
	"slices"
	"strings"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Role is what an identity of the bus is for.
type Role string

// The roles. Node is that of all nodes, each with its own subjects.
const (
	Planner  Role = "planner"
	Executor Role = "executor"
	Operator Role = "operator"
	Auditor  Role = "auditor"
	Node     Role = "node"
	// Importer fills the log of an empty system. It may write every record, and so
	// exists only where a configuration asks for it.
	Importer Role = "importer"
)

// Services are the roles with one identity each.
var Services = [...]Role{Planner, Executor, Operator, Auditor}

// IsPerson says that people act in the role, and not programs that run all the
// time. Each such role has an account of its own.
func (r Role) IsPerson() bool { return r == Operator || r == Auditor }

const serviceURN = "urn:fleetfold:service:"

// URI is the name in the certificate of a service. No SPIFFE ID, and so no
// node, can have it.
func (r Role) URI() string { return serviceURN + string(r) }

// RoleOf is the service that a certificate names, and "" for any other.
func RoleOf(cert *x509.Certificate) Role {
	if len(cert.URIs) != 1 {
		return ""
	}
	name, found := strings.CutPrefix(cert.URIs[0].String(), serviceURN)
	if r := Role(name); found && (slices.Contains(Services[:], r) || r == Importer) {
		return r
	}
	return ""
}

// Inbox is the prefix of the subjects on which a service takes answers. No
// node's is the same: no token of an id has a "~".
func (r Role) Inbox(prefix string) string { return "_INBOX." + prefix + ".~" + string(r) }

// NodeInbox is the prefix of the subjects on which a node takes answers.
func NodeInbox(prefix string, id fleet.NodeID) string {
	return "_INBOX." + prefix + "." + events.Token(id)
}
