package audit

import (
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// issued are the certificates that wait for proof, of which the fold has no text:
// one for each node at most, until it is proved.
type issued map[fleet.NodeID]certificate

type certificate struct {
	sequence uint64 // of credential.issued
	text     string
}

func (i issued) add(r eventlog.Record, d *events.CredentialIssued) {
	i[r.Event.Node] = certificate{r.Sequence, d.CertificatePEM}
}

// take is the text of a credential that is proved now. One that is proved once
// more is read from the history again.
func (a *audit) take(of *projection.Credential, node fleet.NodeID) (string, error) {
	if c, waits := a.issued[node]; waits && c.sequence == of.Sequence {
		delete(a.issued, node)
		return c.text, nil
	}
	for r, err := range a.source.Records(a.ctx, of.Sequence-1) {
		if err != nil {
			return "", fmt.Errorf("read credential issued at %d: %w", of.Sequence, err)
		}
		if r.Sequence == of.Sequence && r.Event != nil {
			if d, ok := r.Event.Data.(*events.CredentialIssued); ok {
				return d.CertificatePEM, nil
			}
		}
		break
	}
	return "", fmt.Errorf("read credential issued at %d: %w", of.Sequence, eventlog.ErrNotIssued)
}
