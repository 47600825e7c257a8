-- Orthanc of compose.yaml: the images of every study that is complete go to the node, over one
-- association; what is no CT or MR image, such as the node's results, does not.

function OnStableStudy(studyId, tags, metadata)
  local images = {}
  for _, series in ipairs(ParseJson(RestApiGet('/studies/' .. studyId .. '/series'))) do
    local modality = series['MainDicomTags']['Modality']
    if modality == 'CT' or modality == 'MR' then
      table.insert(images, series['ID'])
    end
  end
  if #images > 0 then
    local request = { Resources = images, Synchronous = false }
    RestApiPost('/modalities/onconode/store', DumpJson(request, true))
  end
end
