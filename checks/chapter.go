package checks

// A Chapter is one of the eight subjects of the course that every check
// belongs to, or Hygiene for good practice outside of them.
type Chapter int

const (
	Hygiene Chapter = iota
	MinimalImages
	LeastPrivilege
	Secrets
	ResourceLimits
	ScanningAndSigning
	NetworkIsolation
	RuntimeMonitoring
	Updates
)

// Chapters lists the eight chapters in the order of the course.
var Chapters = []Chapter{MinimalImages, LeastPrivilege, Secrets, ResourceLimits, ScanningAndSigning, NetworkIsolation, RuntimeMonitoring, Updates}

var chapterTitles = [...]string{
	Hygiene:            "Build hygiene",
	MinimalImages:      "Minimal base images",
	LeastPrivilege:     "Least privilege",
	Secrets:            "Secrets",
	ResourceLimits:     "Resource limits",
	ScanningAndSigning: "Scanning and signing",
	NetworkIsolation:   "Network isolation",
	RuntimeMonitoring:  "Runtime monitoring",
	Updates:            "Updates and patches",
}

// Title returns the English title, which is also the key of its translation.
func (c Chapter) Title() string { return chapterTitles[c] }
