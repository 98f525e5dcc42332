# A short training learns; stopped, resumed and on other numbers of threads it ends with the same bits; its checkpoint gives
# samples and is tuned; with activations in bfloat16 it learns as well; the study writes its tables; what is wrong is told.
#   cmake -D GPT=<program> -D TEXT=<file> -D FOLDER=<scratch> -P training_test.cmake
file(REMOVE_RECURSE "${FOLDER}")
file(MAKE_DIRECTORY "${FOLDER}")

function(gpt)
  execute_process(COMMAND "${GPT}" ${ARGN} WORKING_DIRECTORY "${FOLDER}" OUTPUT_VARIABLE out ERROR_VARIABLE err RESULT_VARIABLE result)
  set(out "${out}${err}" PARENT_SCOPE)
  set(result "${result}" PARENT_SCOPE)
endfunction()
function(expect condition)
  if(NOT (${condition} ${ARGN}))
    message(FATAL_ERROR "gpt: not so: ${condition} ${ARGN}\n${out}")
  endif()
endfunction()

set(train train --text "${TEXT}" --layers 2 --width 32 --heads 2 --context 32 --sequences 9 --steps 60 --every 20)
gpt(${train} --checkpoint whole --threads 1)
expect(result EQUAL 0)
string(REGEX MATCH "step 20 of 60  loss ([0-9.]+)" found "${out}")
set(early "${CMAKE_MATCH_1}")
string(REGEX MATCH "step 60 of 60  loss ([0-9.]+)" found "${out}")
set(late "${CMAKE_MATCH_1}")
expect(late LESS early)
expect(late LESS 4) # it begins near ln 90

gpt(${train} --checkpoint parts --threads 2 --stop 25)
expect(result EQUAL 0)
gpt(${train} --checkpoint parts --threads 3 --resume)
expect(result EQUAL 0)
file(SHA256 "${FOLDER}/whole" whole)
file(SHA256 "${FOLDER}/parts" parts)
expect(whole STREQUAL parts)

gpt(${train} --checkpoint narrow --bfloat16)
expect(result EQUAL 0)
string(REGEX MATCH "step 60 of 60  loss ([0-9.]+)" found "${out}")
set(narrow "${CMAKE_MATCH_1}")
expect(narrow LESS early)
string(REPLACE "." "" late_units "${late}") # ten thousandths, as both losses are printed
string(REPLACE "." "" narrow_units "${narrow}")
math(EXPR difference "${narrow_units} - ${late_units}")
expect(difference LESS 500)
expect(difference GREATER -500)
file(SHA256 "${FOLDER}/narrow" narrow)
expect(NOT narrow STREQUAL whole)

gpt(tune --checkpoint whole --text "${TEXT}" --rank 2 --steps 10 --save tuned)
expect(result EQUAL 0)
expect(out MATCHES "norms frozen:.* gradients of 0 numbers of norms")
expect(out MATCHES "norms learn:.* gradients of [1-9][0-9]* numbers of norms")
gpt(sample --checkpoint tuned --prompt "norm" --length 10)
expect(result EQUAL 0)

gpt(study --text "${TEXT}" --depths 1 2 --steps 3 --folder study)
expect(result EQUAL 0)
file(STRINGS "${FOLDER}/study/losses.csv" lines)
list(LENGTH lines count)
expect(count EQUAL 79) # 13 trainings of 3 steps at each of 2 depths
file(STRINGS "${FOLDER}/study/gradients.csv" lines REGEX "^2,post,layer_norm,1,3,2,[0-9.e-]+$")
list(LENGTH lines count)
expect(count EQUAL 1)

gpt(sample --checkpoint whole --prompt "norm" --length 40)
expect(result EQUAL 0)
string(LENGTH "${out}" length)
expect(length GREATER_EQUAL 45)

# The header of a safetensors file is text: a checkpoint that tells of no heads.
execute_process(COMMAND sed "s/\"heads\":\"2\"/\"heads\":\"0\"/" "${FOLDER}/whole" OUTPUT_FILE "${FOLDER}/headless")
gpt(sample --checkpoint headless)
expect(result EQUAL 1)
expect(out MATCHES "no multiple of the heads, 0")

file(WRITE "${FOLDER}/broken" "no tensors")
gpt(sample --checkpoint broken)
expect(result EQUAL 1)
expect(out MATCHES "broken is no safetensors file")
gpt(${train} --checkpoint none --text "${FOLDER}/missing")
expect(result EQUAL 1)
expect(out MATCHES "cannot read")
