package fixes

// A Transfer is how far the engine is with fetching an image.
type Transfer struct {
	Image       string // as shown
	Done, Total int64  // bytes, of the layers whose size it has said
	Layers      []Layer
	Ratio       float64 // part of the work that is done, which never falls; -1 while nothing is known of it
}

// A Layer is one of an image that is being fetched.
type Layer struct {
	ID          string // short, as shown
	State       LayerState
	Done, Total int64 // bytes to download; 0 when not said
}

// A LayerState is how far a layer is.
type LayerState int

// The states of a layer, in order.
const (
	Waiting LayerState = iota
	Downloading
	Downloaded
	Unpacking
	Complete
	Present // it was here before
)

// Finished reports whether nothing is left to do for the layer.
func (s LayerState) Finished() bool { return s >= Complete }
