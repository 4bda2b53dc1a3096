package proof

import (
	"crypto"
	"encoding/json"
	"fmt"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// CoreOf is what a proof of e vouches for. Its data is e.Body, so an event that
// was not decoded or signed has none.
func CoreOf(e *events.Event) identity.Core {
	return identity.Core{
		ID:              e.ID,
		Source:          e.Source,
		SpecVersion:     "1.0",
		Type:            string(e.Type),
		DataContentType: "application/json",
		DataSchema:      events.SchemaID(e.Type),
		Subject:         string(e.Node),
		Time:            e.Time,
		Data:            e.Body,
	}
}

// SignEvent sets e.DSSEMaterial to the proof by key, and e.Body to the bytes
// that it covers unless they are there already. Time is cut to whole seconds
// in UTC, which is all that a proof can cover.
func SignEvent(key crypto.Signer, e *events.Event) error {
	if e.Body == nil {
		body, err := json.Marshal(e.Data)
		if err != nil {
			return fmt.Errorf("encode data of %s: %w", e.Type, err)
		}
		e.Body = body
	}
	e.Time = e.Time.UTC().Truncate(time.Second)
	material, err := identity.Sign(key, CoreOf(e), nil)
	if err != nil {
		return fmt.Errorf("sign %s: %w", e.Type, err)
	}
	e.DSSEMaterial = material
	return nil
}

// VerifyEvent checks that the holder of pub signed e as it stands. Errors are
// *identity.Refusal.
func VerifyEvent(e *events.Event, pub crypto.PublicKey) error {
	_, err := identity.Verify(e.DSSEMaterial, pub, CoreOf(e), nil)
	return err
}
