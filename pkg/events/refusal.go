package events

import (
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Why a message is refused as an event. Each is a stable label of logs and metrics.
const (
	ReasonUnknownType   fleet.Reason = "unknown_type"
	ReasonBadHeader     fleet.Reason = "bad_header"
	ReasonBadAttribute  fleet.Reason = "bad_attribute"
	ReasonBadData       fleet.Reason = "bad_data"
	ReasonSchema        fleet.Reason = "schema_mismatch"
	ReasonOversize      fleet.Reason = "oversize"
	ReasonWrongSubject  fleet.Reason = "wrong_subject"
	ReasonWrongIdentity fleet.Reason = "wrong_identity"
)

// Refusal says why a message does not fit.
type Refusal = fleet.Refusal

func refuse(reason fleet.Reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}
