package tui

import (
	"math"

	"plimsoll/checks"
)

// loss is the share of a subject's remaining score that one finding takes.
var loss = [checks.Critical + 1]float64{
	checks.Critical: 0.50, checks.High: 0.25, checks.Medium: 0.10, checks.Low: 0.03, checks.Info: 0,
}

// subjectScore returns how safe one subject is, from 0 to 100: what is left
// after each finding took its share of what was left before it. Hygiene does
// not count. Chapter 0 counts all eight chapters, another only that one.
func subjectScore(findings []checks.Finding, chapter checks.Chapter) float64 {
	score := 100.0
	for i := range findings {
		c := findings[i].Check.Chapter
		if c == checks.Hygiene || chapter != 0 && c != chapter {
			continue
		}
		score *= 1 - loss[findings[i].Severity]
	}
	return score
}

// posture returns the score of many subjects: 100 less the root mean square of
// their gaps to 100. Squaring makes one bad subject show among many good ones,
// and curing anything can only raise the score. Nothing to judge scores 100.
func posture(scores []float64) float64 {
	if len(scores) == 0 {
		return 100
	}
	sum := 0.0
	for _, s := range scores {
		sum += (100 - s) * (100 - s)
	}
	return 100 - math.Sqrt(sum/float64(len(scores)))
}

// points rounds down, so that 100 means that nothing is missing.
func points(score float64) int {
	return int(math.Floor(score + 1e-9))
}
