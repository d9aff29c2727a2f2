"""What `kedro estimate` plans, by the names of `kedro run --pipelines`."""

METHOD, SELF_ALIGN, TEACHING = PLANNED = ("__default__", "self_align", "teach_skills")
