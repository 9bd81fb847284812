package dockerfile

import "plimsoll/checks"

// instructionChecks are about the instructions themselves: whether they say
// what is meant.
func instructionChecks() []*checks.Check {
	return []*checks.Check{
		exposeManagementPort, exposeFormatInvalid, exposePrivilegedPort, exposePortOutOfRange, exposeProtocolCase,
		healthcheckDisabled, healthcheckMultiple, stopsignalUngraceful,
		gpuDriverCapabilitiesAll, vexCopiedIntoImage, labelRequiredMissing,
		archiveCopiedThenExtracted, copyManyNeedsSlash, copyRelativeWithoutWorkdir,
		copyFromUnknownStage, copyFromSelf, copyFromNumberedStage, copyFromEmptyScratch,
		stageNameDuplicate, stageNameReserved, stageNameCase,
		stageUnreachable, stageCycle, stageMissingOrEmpty, shellRunInScratch,
		keywordCaseMixed, continuationLineEmpty, legacyKeyValue, maintainerDeprecated,
		cmdMultiple, entrypointMultiple, jsonFormInvalid,
		variableUndefined, envSelfReference,
		onbuildInvalid, instructionBeforeFrom, syntaxDirectiveTypo, descriptionCommentMisplaced,
		labelKeyInvalid, labelSuperfluous, labelEmpty, labelFormatWrong, labelDuplicate,
		suppressionUsed, suppressionWithoutReason,
	}
}
