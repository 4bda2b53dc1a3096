package events

import (
	"fmt"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
)

// CloudEvent returns e as the CloudEvents SDK knows it: for its JSON format
// and for programs that speak the SDK. It is checked with the SDK's Validate.
func (e *Event) CloudEvent() (cloudevent.Event, error) {
	f, err := checkEvent(e)
	if err != nil {
		return cloudevent.Event{}, err
	}
	body, err := bodyOf(e, f)
	if err != nil {
		return cloudevent.Event{}, err
	}
	ce := cloudevent.New(specVersion)
	ce.SetID(e.ID)
	ce.SetSource(e.Source)
	ce.SetType(string(e.Type))
	ce.SetTime(e.Time.UTC())
	ce.SetDataSchema(f.Schema)
	ce.SetDataContentType(jsonContentType)
	if e.Node != "" {
		ce.SetSubject(string(e.Node))
	}
	ce.DataEncoded = body
	e.setExtensions(&ce)
	if err := ce.Validate(); err != nil {
		return cloudevent.Event{}, fmt.Errorf("make CloudEvent of %s: %w", e.Type, err)
	}
	return ce, nil
}

// setExtensions keeps basis a string, because a CloudEvents Integer has only
// 32 bits.
func (e *Event) setExtensions(ce *cloudevent.Event) {
	var a attributes
	a.fill(e, forms[e.Type])
	for _, i := range []int{attrTraceParent, attrPlan, attrBasis} {
		if a[i] != "" {
			ce.SetExtension(attrNames[i], a[i])
		}
	}
	if e.Step != nil {
		ce.SetExtension(attrNames[attrStep], e.Step.Step)
		ce.SetExtension(attrNames[attrSteps], e.Step.Steps)
	}
	if len(e.DSSEMaterial) > 0 {
		ce.SetExtension(attrNames[attrDSSE], e.DSSEMaterial)
	}
}
