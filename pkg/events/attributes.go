package events

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// The attributes and extensions that an event may carry, in the order of
// attrNames.
const (
	attrSpecVersion = iota
	attrID
	attrSource
	attrType
	attrContentType
	attrSchema
	attrSubject
	attrTime
	attrTraceParent
	attrPlan
	attrStep
	attrSteps
	attrBasis
	attrDSSE
	attrCount
)

var attrNames = [attrCount]string{
	"specversion", "id", "source", "type", "datacontenttype", "dataschema", "subject", "time",
	"traceparent", "plan", "step", "steps", "basis", "dssematerial",
}

// headerNames are the attributes as Encode writes them.
var headerNames = func() (h [attrCount]string) {
	for i, name := range attrNames {
		h[i] = "ce-" + name
	}
	return h
}()

const (
	specVersion     = "1.0"
	jsonContentType = "application/json"
	// maxAttributeBytes bounds every attribute but the signature envelope.
	maxAttributeBytes = 2048
	maxMaterialBytes  = 32 << 10
)

// strictBase64 has one spelling for each value.
var strictBase64 = base64.StdEncoding.Strict()

// attributes of one message as strings in canonical form; "" is not set.
type attributes [attrCount]string

// attrIndex finds a lower-case name. The switch is quicker than a map.
func attrIndex(name string) int {
	switch name {
	case "specversion":
		return attrSpecVersion
	case "id":
		return attrID
	case "source":
		return attrSource
	case "type":
		return attrType
	case "datacontenttype":
		return attrContentType
	case "dataschema":
		return attrSchema
	case "subject":
		return attrSubject
	case "time":
		return attrTime
	case "traceparent":
		return attrTraceParent
	case "plan":
		return attrPlan
	case "step":
		return attrStep
	case "steps":
		return attrSteps
	case "basis":
		return attrBasis
	case "dssematerial":
		return attrDSSE
	}
	return -1
}

func (a *attributes) set(i int, value string) error {
	limit := maxAttributeBytes
	if i == attrDSSE {
		limit = maxMaterialBytes
	}
	switch {
	case a[i] != "":
		return refuse(ReasonBadHeader, "attribute %s stands twice", attrNames[i])
	case value == "":
		return refuse(ReasonBadAttribute, "attribute %s is empty", attrNames[i])
	case len(value) > limit:
		return refuse(ReasonOversize, "attribute %s has %d bytes, at most %d are allowed", attrNames[i], len(value), limit)
	}
	a[i] = value
	return nil
}

// likely is the order in which quick looks for attributes: what every event has,
// what most have, what only some have.
var likely = [attrCount]int{
	attrSpecVersion, attrID, attrSource, attrType, attrContentType, attrSchema, attrTime, attrSubject,
	attrDSSE, attrTraceParent, attrPlan, attrStep, attrSteps, attrBasis,
}

// quick reads headers that are all attributes, named and written as Encode does:
// to look for those few names is quicker than to look at what is there. False
// says nothing about them.
func (a *attributes) quick(header map[string][]string) bool {
	found := 0
	for _, i := range likely {
		if found == len(header) {
			break
		}
		values, ok := header[headerNames[i]]
		if !ok {
			continue
		}
		if a.setHeader(i, values) != nil {
			return false
		}
		found++
	}
	return found == len(header)
}

// readHeaders collects the attributes of a message in binary mode, in headers
// of any case. Headers that are no attributes, and extensions that no event
// here carries, are passed over. Those that begin with strip are taken out, unless
// it is empty. What is wrong with an attribute, misfit, is of no account where the
// whole event stands in the body; err always is.
func (a *attributes) readHeaders(header map[string][]string, strip string) (structured bool, misfit, err error) {
	media, found := "", false
	for name, values := range header {
		if i := attrOfHeader(name); i >= 0 {
			if misfit == nil {
				misfit = a.setHeader(i, values)
			}
			continue
		}
		if strip != "" && strings.HasPrefix(name, strip) {
			delete(header, name)
			continue
		}
		if len(name) != len(contentType) || !strings.EqualFold(name, contentType) {
			continue
		}
		if found || len(values) != 1 {
			return false, nil, refuse(ReasonBadHeader, "header Content-Type must have one value")
		}
		media, found = values[0], true
	}
	structured, err = isStructured(media)
	return structured, misfit, err
}

// attrOfHeader finds the attribute that a header stands for, -1 for none.
func attrOfHeader(name string) int {
	if len(name) < 4 {
		return -1
	}
	if name[:3] == "ce-" {
		if i := attrIndex(name[3:]); i >= 0 {
			return i
		}
	}
	if !strings.EqualFold(name[:3], "ce-") {
		return -1
	}
	return attrIndex(strings.ToLower(name[3:]))
}

func (a *attributes) setHeader(i int, values []string) error {
	if len(values) != 1 {
		return refuse(ReasonBadHeader, "header ce-%s has %d values, not one", attrNames[i], len(values))
	}
	value, err := headerValue(values[0])
	if err != nil {
		return refuse(ReasonBadHeader, "header ce-%s: %v", attrNames[i], err)
	}
	return a.set(i, value)
}

// event turns the attributes into an event that still lacks its data.
func (a *attributes) event() (*Event, *form, error) {
	if err := a.checkFixed(); err != nil {
		return nil, nil, err
	}
	f, ok := forms[Type(a[attrType])]
	if !ok {
		return nil, nil, refuse(ReasonUnknownType, "event type %q is not in the registry", a[attrType])
	}
	if a[attrSchema] != f.Schema {
		return nil, nil, refuse(ReasonBadAttribute, "dataschema is %q, not %q", a[attrSchema], f.Schema)
	}
	e := &Event{
		ID: a[attrID], Source: a[attrSource], Type: f.Type,
		Node: fleet.NodeID(a[attrSubject]), TraceParent: a[attrTraceParent],
	}
	if err := e.Time.UnmarshalText([]byte(a[attrTime])); err != nil {
		return nil, nil, refuse(ReasonBadAttribute, "time %q is not of RFC 3339", a[attrTime])
	}
	e.Time = e.Time.UTC()
	return e, f, a.extensions(e)
}

// checkFixed checks the attributes that every event must have, and those that
// have the same value in all of them.
func (a *attributes) checkFixed() error {
	for i := attrSpecVersion; i <= attrTime; i++ {
		if a[i] == "" && i != attrSubject {
			return refuse(ReasonBadAttribute, "attribute %s is missing", attrNames[i])
		}
	}
	if a[attrSpecVersion] != specVersion {
		return refuse(ReasonBadAttribute, "specversion is %q, not %q", a[attrSpecVersion], specVersion)
	}
	// One spelling only, because a proof covers the attribute byte for byte.
	if a[attrContentType] != jsonContentType {
		return refuse(ReasonBadAttribute, "datacontenttype is %q, not %q", a[attrContentType], jsonContentType)
	}
	return nil
}

func (a *attributes) extensions(e *Event) error {
	if v := a[attrDSSE]; v != "" {
		material, err := strictBase64.DecodeString(v)
		if err != nil {
			return refuse(ReasonBadAttribute, "dssematerial is not base64: %v", err)
		}
		e.DSSEMaterial = material
	}
	set := 0
	for i := attrPlan; i <= attrBasis; i++ {
		if a[i] != "" {
			set++
		}
	}
	switch set {
	case 0:
		return nil
	case attrBasis - attrPlan + 1:
		return a.step(e)
	}
	return refuse(ReasonBadAttribute, "plan, step, steps and basis must all be there, or none of them")
}

func (a *attributes) step(e *Event) error {
	var n [3]uint64
	for k, bits := range [3]int{31, 31, 64} {
		i, err := attrStep+k, error(nil)
		n[k], err = strconv.ParseUint(a[i], 10, bits)
		if err != nil || strconv.FormatUint(n[k], 10) != a[i] {
			return refuse(ReasonBadAttribute, "attribute %s is %q, not a plain number of %d bits", attrNames[i], a[i], bits)
		}
	}
	e.Step = &Step{Plan: fleet.PlanID(a[attrPlan]), Step: int(n[0]), Steps: int(n[1]), Basis: n[2]}
	return nil
}

// fill writes the attributes of an event that was checked.
func (a *attributes) fill(e *Event, f *form) {
	*a = attributes{
		attrSpecVersion: specVersion, attrID: e.ID, attrSource: e.Source, attrType: string(e.Type),
		attrContentType: jsonContentType, attrSchema: f.Schema, attrSubject: string(e.Node),
		attrTime: e.Time.UTC().Format(time.RFC3339Nano), attrTraceParent: e.TraceParent,
	}
	if s := e.Step; s != nil {
		a[attrPlan] = string(s.Plan)
		a[attrStep], a[attrSteps] = strconv.Itoa(s.Step), strconv.Itoa(s.Steps)
		a[attrBasis] = strconv.FormatUint(s.Basis, 10)
	}
	if len(e.DSSEMaterial) > 0 {
		a[attrDSSE] = base64.StdEncoding.EncodeToString(e.DSSEMaterial)
	}
}
