// Complete tasks: text, sound and pictures, training, scores, reports and trained models.
// Link rapt::tasks. The parts for speech and captions are there if rapt was built with them.
#pragma once

#include "tasks/data/batches.hpp"
#include "tasks/data/files.hpp"
#include "tasks/data/prefetch.hpp"
#include "tasks/draw/progress.hpp"
#include "tasks/draw/svg.hpp"
#include "tasks/report/report.hpp"
#include "tasks/report/spectrogram_view.hpp"
#include "tasks/scores/bleu.hpp"
#include "tasks/scores/caption_scores.hpp"
#include "tasks/scores/error_rate.hpp"
#include "tasks/scores/scores.hpp"
#include "tasks/text/subwords.hpp"
#include "tasks/text/text.hpp"
#include "tasks/text/tokenizer.hpp"
#include "tasks/text/unicode.hpp"
#include "tasks/text/utf8.hpp"
#include "tasks/training/kept.hpp"
#include "tasks/training/nonfinite.hpp"
#include "tasks/training/run_log.hpp"
#include "tasks/training/run_state.hpp"
#include "tasks/training/task.hpp"
#include "tasks/training/training.hpp"
#include "tasks/translation/translation.hpp"
#if RAPT_TASKS_SPEECH
#include "tasks/audio/audio.hpp"
#include "tasks/audio/features.hpp"
#include "tasks/speech/sound_changes.hpp"
#include "tasks/speech/speech_model.hpp"
#include "tasks/speech/utterances.hpp"
#endif
#if RAPT_TASKS_CAPTIONS
#include "tasks/captions/caption_attention.hpp"
#include "tasks/captions/caption_data.hpp"
#include "tasks/captions/caption_model.hpp"
#include "tasks/captions/pictures_view.hpp"
#include "tasks/images/image_changes.hpp"
#include "tasks/images/images.hpp"
#endif
