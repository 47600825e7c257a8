-- Orthanc of compose.yaml: every study that is complete goes to the node, its results do not.

function OnStableStudy(studyId, tags, metadata, origin)
  for _, series in ipairs(ParseJson(RestApiGet('/studies/' .. studyId .. '/series'))) do
    local modality = series['MainDicomTags']['Modality']
    if modality == 'CT' or modality == 'MR' then
      SendToModality(series['ID'], 'onconode')
    end
  end
end
